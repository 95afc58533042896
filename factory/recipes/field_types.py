"""Types of declared fields, as the reference names them and as JSON schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from factory.model.declaration import BesideRecipe, MayBeEmpty, MemoryAmount, OneOf, Rule
from factory.model.source import Overlay

Schema = dict[str, Any]

_WORDS = {
    str: "string",
    bool: "true or false",
    int: "whole number",
    float: "number",
    object: "string, boolean or number",
}
_SCHEMAS: Mapping[Any, Schema] = {
    str: {"type": "string", "minLength": 1},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number", "minimum": 0},
    object: {"type": ["string", "boolean", "number"]},
}
_STRINGS: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}}


def without_none(hint: Any) -> Any:
    """Return the type of an optional field without None."""
    kinds = [each for each in get_args(hint) if each is not type(None)]
    return kinds[0] if get_origin(hint) in (Union, UnionType) and len(kinds) == 1 else hint


def is_table(hint: Any) -> bool:
    """Report whether a field is a table with declared keys."""
    return dataclasses.is_dataclass(without_none(hint)) and without_none(hint) is not Overlay


def words_of(hint: Any) -> str:
    """Return the words for a type in the reference."""
    hint = without_none(hint)
    if get_origin(hint) is Annotated:
        base, marker = get_args(hint)
        return _words_of_marked(base, marker)
    if get_origin(hint) is tuple or hint is Overlay:
        return "list of strings"
    if get_origin(hint) in (Union, UnionType):
        return "string or list of strings"
    if get_origin(hint) is Mapping:
        return "table"
    return "table" if is_table(hint) else _WORDS[hint]


def _words_of_marked(base: Any, marker: object) -> str:
    if isinstance(marker, BesideRecipe):
        return "path of a folder" if marker.folder else "path of a file"
    if isinstance(marker, MemoryAmount):
        return "amount of memory"
    if isinstance(marker, OneOf) and marker.names and base is str:
        return " or ".join(f"`{name}`" for name in marker.names)
    if isinstance(marker, OneOf) and marker.names:
        return f"list of {', '.join(f'`{name}`' for name in marker.names)}" + (", or globs" if marker.globs else "")
    return words_of(base)


def schema_of(hint: Any) -> Schema:
    """Return the JSON schema of a type whose keys are not declared."""
    hint = without_none(hint)
    if get_origin(hint) is Annotated:
        base, marker = get_args(hint)
        return _schema_of_marked(base, marker)
    if get_origin(hint) is tuple:
        return {"type": "array", "items": schema_of(get_args(hint)[0])}
    if hint is Overlay:
        return _STRINGS
    if get_origin(hint) in (Union, UnionType):
        return {"anyOf": [schema_of(each) for each in get_args(hint)]}
    if get_origin(hint) is Mapping:
        return _schema_of_mapping(*get_args(hint))
    return dict(_SCHEMAS[hint])


def _schema_of_mapping(key: Any, value: Any) -> Schema:
    schema: Schema = {"type": "object", "additionalProperties": schema_of(value)}
    marker = get_args(key)[1] if get_origin(key) is Annotated else None
    return schema | (
        {"propertyNames": {"pattern": marker.pattern}} if isinstance(marker, Rule) and marker.pattern else {}
    )


def _schema_of_marked(base: Any, marker: object) -> Schema:
    if isinstance(marker, MayBeEmpty):
        return {"type": "string"}
    if isinstance(marker, MemoryAmount):
        return {"type": "string", "pattern": r"^\d+(\.\d+)? ?(MB|GB)$"}
    if base is Path:
        return dict(_SCHEMAS[str])
    if isinstance(marker, Rule) and marker.pattern:
        return {"type": "string", "pattern": marker.pattern}
    if isinstance(marker, OneOf) and marker.names and base is str:
        return {"enum": list(marker.names)}
    if isinstance(marker, OneOf) and marker.names and not marker.globs:
        return {"type": "array", "minItems": 1, "items": {"enum": list(marker.names)}}
    if isinstance(marker, OneOf) and base is not str:
        return _STRINGS | {"minItems": 1}
    return schema_of(base)
