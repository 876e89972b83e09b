"""YAML documents read as JSON values. Needs PyYAML."""

from __future__ import annotations

import math
from typing import Any

import yaml


class MalformedYAML(ValueError):
    """A text that is not YAML, or says what JSON cannot."""


class _Loader(yaml.SafeLoader):
    """As JSON has it: dates stay text, and no name is there twice in a mapping."""


# What looks like a date is text: YAML 1.2 knows no other.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith(":timestamp")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool | None):
            raise MalformedYAML(f"not usable: a name is no text, {_place(key_node.start_mark)}")
        if key in found:
            raise MalformedYAML(
                f"not usable: {key!r} is there twice, {_place(key_node.start_mark)}"
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(text: str) -> Any:
    """The value of a YAML text. Names that YAML takes for numbers, such as `200`, are text. Raises
    MalformedYAML."""
    try:
        return _as_json(yaml.load(text, _Loader))  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise MalformedYAML("not valid YAML" + (f", {_place(mark)}" if mark else "")) from None
    except RecursionError:
        raise MalformedYAML("nested too deeply, or an alias leads back to itself") from None


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}"


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(name): _as_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise MalformedYAML(f"not usable: it has {value!r}, which JSON cannot say")


def _key(name: Any) -> str:
    if name is None or isinstance(name, bool):
        return {None: "null", True: "true", False: "false"}[name]
    return str(name)
