"""The shape of the settings model, for everything that walks a raw tree beside it.

`prepare` does what must happen before validation: the environment is laid over the file, secrets are read
from their files and relative paths are anchored. It reports problems in words and never raises.
"""

import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr

Tree = dict[str, Any]
KeyPath = tuple[str | int, ...]
Report = Callable[[KeyPath, str], None]

SECRET_FILE_LIMIT = 65_536
"""The largest secret file that is read, in bytes: a wrong path must not read a disk into memory."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field holds."""

    form: Literal["section", "list", "table", "value"]
    """`section`: a table of known keys; `list`/`table`: an array or a table of those; `value`: anything
    else."""
    section: type[BaseModel] | None
    """The section's model, for the first three."""
    leaf: frozenset[type]
    """The plain types of a value, None left out."""


def shape_of(annotation: Any) -> Shape:
    """Say what a field of that annotation holds."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return shape_of(typing.get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape("section", annotation, frozenset())
    arguments = typing.get_args(annotation)
    if origin in (tuple, list) and arguments:
        inner = shape_of(arguments[0])
        return Shape("list", inner.section, frozenset({tuple})) if inner.section else _value(tuple)
    if origin is dict:
        inner = shape_of(arguments[1])
        return Shape("table", inner.section, frozenset({dict})) if inner.section else _value(dict)
    if origin in (typing.Union, types.UnionType):
        inner_shapes = [shape_of(argument) for argument in arguments if argument is not type(None)]
        return Shape("value", None, frozenset().union(*(inner.leaf for inner in inner_shapes)))
    if origin is Literal:
        return _value(*{type(argument) for argument in arguments})
    return _value(annotation) if isinstance(annotation, type) else _value()


def _value(*plain: type) -> Shape:
    return Shape("value", None, frozenset(plain))


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, Shape]]:
    """Give the model's fields with their shapes, in order."""
    for name, field in model.model_fields.items():
        yield name, shape_of(field.annotation)


def prepare(model: type[BaseModel], tree: Tree, base: Path, report: Report, path: KeyPath = ()) -> Tree:
    """Give a copy of the tree with secret files read and relative paths anchored at `base`."""
    done = dict(tree)
    for name, shape in fields_of(model):
        here = (*path, name)
        if SecretStr in shape.leaf:
            _take_secret(done, name, base, report, path)
        elif name not in done:
            continue
        elif Path in shape.leaf and isinstance(done[name], str) and done[name]:
            done[name] = str(base / Path(done[name]).expanduser())
        elif shape.section is not None:
            done[name] = _prepare_below(shape, done[name], base, report, here)
    return done


def _prepare_below(shape: Shape, value: Any, base: Path, report: Report, path: KeyPath) -> Any:
    section = shape.section
    if section is None:
        return value
    if shape.form == "section" and isinstance(value, dict):
        return prepare(section, value, base, report, path)
    if shape.form == "list" and isinstance(value, list):
        return [
            prepare(section, item, base, report, (*path, index)) if isinstance(item, dict) else item
            for index, item in enumerate(value)
        ]
    if shape.form == "table" and isinstance(value, dict):
        return {
            key: prepare(section, item, base, report, (*path, key)) if isinstance(item, dict) else item
            for key, item in value.items()
        }
    return value


def _take_secret(tree: Tree, name: str, base: Path, report: Report, path: KeyPath) -> None:
    """Replace `<name>_file` by `<name>` with the file's content, one final line end taken off."""
    key = f"{name}_file"
    if key not in tree:
        return
    where, value = (*path, key), tree.pop(key)
    if name in tree:
        report(where, f"both {name} and {key} are given; keep one")
        return
    if not isinstance(value, str) or not value:
        report(where, "must be the path of a file")
        tree[name] = ""
        return
    file = base / Path(value).expanduser()
    tree[name] = ""  # so that a secret that is required is not reported a second time as missing
    try:
        with file.open("rb") as opened:
            content = opened.read(SECRET_FILE_LIMIT + 1)
        if len(content) > SECRET_FILE_LIMIT:
            report(where, f"{file} is larger than {SECRET_FILE_LIMIT} bytes: that is not a secret")
            return
        tree[name] = content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        report(where, f"cannot read {file}: {error.strerror}")
    except UnicodeDecodeError:
        report(where, f"{file} is not UTF-8 text")
    else:
        if not tree[name]:
            report(where, f"{file} is empty")
