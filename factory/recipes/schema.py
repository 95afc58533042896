"""JSON schema of recipe.toml for editors, generated from the declarations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from factory.model.recipe import PACKAGE_TABLE, ROOT_TABLE, Recipe
from factory.model.source import PART_TABLE, SOURCE_TABLE, Source
from factory.recipes.field_types import Schema, is_table, schema_of, without_none
from factory.recipes.reader import KIND, DeclaredField, declared_fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Keys of the package's own source that have a default.
OPTIONAL_OF_SOURCE = ("project", "version")
# A recipe that is based on another takes missing keys from there, also the kind of its source.
BASED_ON = {"required": ["based-on"]}
WITHOUT_KIND = {"type": "object", "not": {"required": [KIND]}}


def render_schema(kinds: Mapping[str, type[Source]]) -> str:
    """Return the schema as JSON text, with the given source kinds."""
    tables = {field.key: _field(field, kinds) for field in declared_fields(Recipe, ROOT_TABLE)}
    package = _table(declared_fields(Recipe, PACKAGE_TABLE), kinds, optional=["version"])
    package["anyOf"] = [{"required": ["version"]}, BASED_ON]
    schema = _closed({PACKAGE_TABLE: package} | tables, [PACKAGE_TABLE])
    schema["anyOf"] = [{"required": [SOURCE_TABLE]}, {"properties": {PACKAGE_TABLE: BASED_ON}}]
    return json.dumps({"$schema": DIALECT, "title": "recipe.toml"} | schema, indent=1) + "\n"


def _field(field: DeclaredField, kinds: Mapping[str, type[Source]]) -> Schema:
    kind: Any = without_none(field.hint)
    if kind is Source:
        schema = _source(kinds, SOURCE_TABLE)
    elif is_table(kind):
        schema = _table(declared_fields(kind, field.key), kinds)
    elif Source in get_args(kind):
        schema = {"type": "object", "additionalProperties": _source(kinds, PART_TABLE)}
    else:
        schema = schema_of(kind)
    return schema | {"description": field.about}


def _source(kinds: Mapping[str, type[Source]], table: str) -> Schema:
    inherited = [WITHOUT_KIND] if table == SOURCE_TABLE else []
    return {"oneOf": [*(_source_of_kind(name, kinds, table) for name in kinds), *inherited]}


def _source_of_kind(name: str, kinds: Mapping[str, type[Source]], table: str) -> Schema:
    optional = OPTIONAL_OF_SOURCE if table == SOURCE_TABLE else ()
    schema = _table(declared_fields(kinds[name], table), kinds, optional)
    return _closed({KIND: {"const": name}} | schema["properties"], [KIND, *schema["required"]])


def _table(fields: Sequence[DeclaredField], kinds: Mapping[str, type[Source]], optional: Sequence[str] = ()) -> Schema:
    required = [field.key for field in fields if field.required and field.key not in optional]
    return _closed({field.key: _field(field, kinds) for field in fields}, required)


def _closed(properties: Schema, required: Sequence[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
