"""The decorator for values of the SIP core: frozen to the type checker, cheap at run time.

A dataclass frozen at run time sets each field through `object.__setattr__`, which costs about a microsecond
for a URI; one INVITE makes ten such values. The type checker refuses assignments just as well, for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a slotted, hashable dataclass whose fields the type checker holds to be read-only."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
