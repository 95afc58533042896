"""Reference of recipe.toml and models.toml, generated from the declarations."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence

from factory.model.recipe import PACKAGE_TABLE, ROOT_TABLE, ModelPin, Recipe
from factory.model.source import PART_TABLE, SOURCE_TABLE, Source
from factory.recipes.field_types import is_table, without_none, words_of
from factory.recipes.reader import DeclaredField, declared_fields

HEADER = """\
# Recipe reference

All keys of `recipe.toml` and `models.toml`; [the guide](add-a-recipe.md) explains how to write a recipe. This page and
`recipe.schema.json`, the JSON schema for editors, are generated from the declarations in `factory/model/recipe.py` and
`factory/stages/sources/`: run `.ci/nox reference` after a change there.

Mistakes of all recipes are reported at once, each as `file:line: key: message`.
"""
COLUMNS = "| key | value | default | description |\n|---|---|---|---|"


def render_reference(kinds: Mapping[str, type[Source]]) -> str:
    """Return the reference as Markdown, with the given source kinds."""
    return "\n".join((HEADER, *_sections(kinds))) + "\n"


def _sections(kinds: Mapping[str, type[Source]]) -> Iterator[str]:
    yield _section("## [package]", "The package.", declared_fields(Recipe, PACKAGE_TABLE))
    yield from _source_sections(kinds)
    for field in declared_fields(Recipe, ROOT_TABLE):
        if field.key != SOURCE_TABLE:
            yield from _table_sections(field.key, field)
    yield "## models.toml\n\nOne table a model, named as recipes name it in `check.model`.\n"
    yield f"{COLUMNS}\n{_rows(declared_fields(ModelPin, 'model'))}\n"


def _source_sections(kinds: Mapping[str, type[Source]]) -> Iterator[str]:
    yield (
        f"## [source]\n\n`kind` is one of {', '.join(f'`{name}`' for name in kinds)}. `project` and `version` are the "
        "package's by default. Sources in `source.parts` have the same keys but `overlay` and `parts`; they must name "
        "`project` and `version`.\n"
    )
    common = [field for field in declared_fields(Source, SOURCE_TABLE) if field.name in ("overlay", "parts")]
    yield f"{COLUMNS}\n{_rows(common)}\n"
    for name, kind in kinds.items():
        fields = declared_fields(kind, PART_TABLE)
        summary = inspect.cleandoc(kind.__doc__ or "").splitlines()[0]
        yield f'### kind = "{name}"\n\n{summary}\n\n{COLUMNS}\n{_rows(fields)}\n'
        for field in fields:
            if is_table(field.hint):
                yield from _table_sections(f"source.{field.key}", field, "####")


def _table_sections(key: str, field: DeclaredField, level: str = "##") -> Iterator[str]:
    kind = without_none(field.hint)
    fields = declared_fields(kind, key.rpartition(".")[2])
    yield _section(f"{level} [{key}]", f"{field.about[0].upper()}{field.about[1:]}.", fields)
    for inner in fields:
        if is_table(inner.hint):
            yield from _table_sections(f"{key}.{inner.key}", inner, f"{level}#")


def _section(title: str, about: str, fields: Sequence[DeclaredField]) -> str:
    return f"{title}\n\n{about}\n\n{COLUMNS}\n{_rows(fields)}\n"


def _rows(fields: Sequence[DeclaredField]) -> str:
    return "\n".join(
        f"| `{field.key}` | {words_of(field.hint)} | {_default(field)} | {field.about} |" for field in fields
    )


def _default(field: DeclaredField) -> str:
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, (str, tuple)) and field.default:
        return f"`{json.dumps(field.default)}`"
    return "required" if field.required else "none"
