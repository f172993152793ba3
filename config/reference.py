"""Writes `docs/configuration.md` from the model: `python -m config.reference > docs/configuration.md`.

The model's docstrings are the only text; a test keeps the committed page equal to this output.
"""

import sys
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.settings import Settings
from config.shape import Shape, fields_of
from config.trunks import KIND_DEFAULTS, Trunk

_INTRODUCTION = """\
# Configuration

Made from the settings model by `python -m config.reference`; do not edit by hand.

One TOML file describes a node: `trunkline run --config FILE`. A complete one with every section
explained is [`config/sample.toml`](../config/sample.toml). `trunkline check --config FILE` reads a file
and names everything that is wrong with it, all at once, each with its line.

- **Paths** are relative to the configuration file.
- **Secrets** can stay out of the file: any setting of type *secret* may be given as `NAME_file =
  "path"`; one line end at the file's end is taken off.
- **The environment** goes over the file: `TRUNKLINE__NODE__FQDN=sbc1.contoso.example`,
  `TRUNKLINE__NODE__LOG__LEVEL=debug`. An item of an array is named by its `name` (`-` and `.` written
  `_`) or its position from 0: `TRUNKLINE__TRUNKS__TEAMS__CA_FILE=ca.pem`. Lists are written with commas,
  whole tables as JSON. A variable that begins with `TRUNKLINE__` and names no setting is an error.
- **An unknown key is an error**, and so is every contradiction between settings.
"""


def reference() -> str:
    """Give the page, in Markdown."""
    parts = [_INTRODUCTION]
    for name, shape in fields_of(Settings):
        parts.append(_section(name, shape, Settings.model_fields[name]))
    return "\n".join(parts)


def _section(path: str, shape: Shape, field: FieldInfo) -> str:
    model = shape.section
    if model is None:
        return ""
    heading = {"list": f"[[{path}]]", "table": f"[{path}.NAME]"}.get(shape.form, f"[{path}]")
    required = " Required." if field.is_required() else ""
    lines = [f"## `{heading}`", "", _text(model.__doc__) + required, ""]
    lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    below: list[str] = []
    for name, inner in fields_of(model):
        if inner.section is None:
            lines.append(_row(model, name))
        else:
            joined = f"{path}.{name}" if shape.form != "table" else f"{path}.NAME.{name}"
            below.append(_section(joined, inner, model.model_fields[name]))
    return "\n".join([*lines, "", *below])


def _row(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    kind = _type(field.annotation, field.metadata)
    return f"| `{name}` | {kind} | {_default(model, name, field)} | {_text(field.description)} |"


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _default(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if model is Trunk:
        by_kind = [
            f"{_literal(KIND_DEFAULTS[kind][name])} ({kind})"
            for kind in KIND_DEFAULTS
            if name in KIND_DEFAULTS[kind]
        ]
        if name in ("tenant", "fqdn", "listener", "accept_on", "transport"):
            return "from the rest"
        if by_kind:
            return ", ".join(by_kind)
    if field.is_required():
        return "*required*"
    value = field.default_factory() if field.default_factory is not None else field.default  # type: ignore[call-arg]  # no factory here takes the data
    return _literal(value)


def _literal(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple | list):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    if isinstance(value, dict):
        return "`{}`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


_PLAIN = {
    str: "text",
    int: "number",
    float: "number",
    bool: "`true`/`false`",
    Path: "path",
    SecretStr: "secret",
}


def _type(annotation: Any, metadata: list[Any]) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        return ", ".join(f'`"{item}"`' for item in arguments)
    if origin in (typing.Union, types.UnionType):
        return _type(next(item for item in arguments if item is not type(None)), metadata)
    if origin is tuple:
        return f"list of {_type(arguments[0], [])}"
    if origin is dict:
        return f"table of {_type(arguments[1], [])}"
    return _PLAIN[annotation] + _bounds(metadata)


_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def _bounds(metadata: list[Any]) -> str:
    words = [
        f"{sign} {getattr(bound, name)}"
        for item in metadata
        for bound in getattr(item, "metadata", [item])  # a nested Field keeps its own list
        for name, sign in _SIGNS.items()
        if getattr(bound, name, None) is not None
    ]
    return f" ({', '.join(words)})" if words else ""


if __name__ == "__main__":
    sys.stdout.write(reference())
