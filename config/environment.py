"""Settings from the environment: `TRUNKLINE__NODE__FQDN=sbc1.contoso.example`.

The parts between the double underscores are the keys, in any case. An item of an array of tables is named by
its position or its `name`: `TRUNKLINE__TRUNKS__TEAMS__CA_FILE`. A list is written with commas, or any value
as JSON. A variable that names no setting is a problem, never ignored: it is a typing error in a deployment.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from config.shape import KeyPath, Shape, Tree, fields_of

PREFIX = "TRUNKLINE__"
CONFIG_VARIABLE = "TRUNKLINE_CONFIG"
"""Names the configuration file when the command line does not."""

Report = Callable[[str, str], None]


def overlay(
    model: type[BaseModel], tree: Tree, environment: Mapping[str, str], report: Report
) -> tuple[Tree, dict[KeyPath, str]]:
    """Lay the environment's settings over the tree; give the new tree and which variable set which path."""
    origins: dict[KeyPath, str] = {}
    result = _copy(tree)
    for variable in sorted(name for name in environment if name.upper().startswith(PREFIX)):
        parts = variable[len(PREFIX) :].split("__")
        try:
            path = _set(model, result, parts, environment[variable], ())
        except ValueError as error:
            report(variable, str(error))
        else:
            origins[path] = variable
    return result, origins


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _set(model: type[BaseModel], tree: Tree, parts: list[str], text: str, path: KeyPath) -> KeyPath:
    name = parts[0].lower()
    shapes = dict(fields_of(model))
    shape = shapes.get(name)
    if shape is None and name.endswith("_file"):
        secret = shapes.get(name.removesuffix("_file"))
        if secret is not None and SecretStr in secret.leaf and len(parts) == 1:
            tree.pop(
                name.removesuffix("_file"), None
            )  # the environment's secret replaces the file's, however given
            tree[name] = text
            return (*path, name)
    if shape is None:
        raise ValueError(f"there is no setting {'.'.join(map(str, (*path, name)))}")
    here = (*path, name)
    if len(parts) == 1:
        if shape.section is None:
            tree.pop(f"{name}_file", None)
            tree[name] = _value(shape, text)
        else:
            tree[name] = _json(text, here)
        return here
    return _set_below(shape, tree, parts, text, here)


def _set_below(shape: Shape, tree: Tree, parts: list[str], text: str, here: KeyPath) -> KeyPath:
    name, rest = str(here[-1]), parts[1:]
    if shape.section is None:
        if dict in shape.leaf and len(rest) == 1:
            tree.setdefault(name, {})[rest[0].lower()] = _listed(text)
            return (*here, rest[0].lower())
        raise ValueError(f"{'.'.join(map(str, here))} is a value, not a table")
    if shape.form == "section":
        return _set(shape.section, _table(tree, name), rest, text, here)
    if len(rest) < 2:
        raise ValueError(f"name an item and a key below {'.'.join(map(str, here))}")
    if shape.form == "table":
        table = _table(tree, name)
        key = next((key for key in table if key.lower() == rest[0].lower()), rest[0].lower())
        return _set(shape.section, _table(table, key), rest[1:], text, (*here, key))
    items = tree.get(name)
    index = _index(items, rest[0])
    if index is None or not isinstance(items, list):
        raise ValueError(
            f"there is no item {rest[0]!r} in {name}; name one of the file's by its name or position"
        )
    return _set(shape.section, items[index], rest[1:], text, (*here, index))


def _table(tree: Tree, key: str) -> Tree:
    value = tree.setdefault(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not a table in the file")  # noqa: TRY004 - the input is wrong, not the code
    return value


def _index(items: object, wanted: str) -> int | None:
    if not isinstance(items, list):
        return None
    plain = wanted.lower().replace("-", "_").replace(".", "_")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        name = str(item.get("name", "")).lower().replace("-", "_").replace(".", "_")
        if name == plain or str(index) == wanted:
            return index
    return None


def _value(shape: Shape, text: str) -> Any:
    """Read a value as its field wants it: JSON for tables, commas for lists, else text."""
    if tuple in shape.leaf:
        return _listed(text)
    if dict in shape.leaf:
        return _json(text, ())
    if bool in shape.leaf:
        plain = text.strip().lower()
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            plain, text
        )
    return text


def _listed(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        value = _json(text, ())
        return value if isinstance(value, list) else [value]
    return [item.strip() for item in text.split(",") if item.strip()]


def _json(text: str, path: KeyPath) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        what = ".".join(map(str, path)) or "the value"
        raise ValueError(f"{what} must be written as JSON here") from None
