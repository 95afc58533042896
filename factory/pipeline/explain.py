"""Explanation of a job: each value with its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.model.job import Job
from factory.model.recipe import PACKAGE_TABLE, ROOT_TABLE, Recipe
from factory.model.source import PART_TABLE, SOURCE_TABLE, Source
from factory.model.target import PROFILES
from factory.recipes.document import Document, KeyPath, show
from factory.recipes.field_types import is_table
from factory.recipes.loader import document_of
from factory.recipes.reader import DeclaredField, declared_fields

DEFAULT, PROFILE, SOURCE = "default", "profile", "source"
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of a job; `origin` is a file and line, `default`, or the kind of its origin."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The values of a job's recipe; `document` knows the lines of its keys."""

    recipe: Recipe
    document: Document

    @classmethod
    def of(cls, recipe: Recipe) -> Explanation:
        """Read the document of a recipe."""
        return cls(recipe, document_of(recipe))

    def values(self) -> Iterator[Value]:
        """Iterate over the values of all keys that a recipe may have."""
        recipe, content = self.recipe, self.document.data
        yield from self._table(recipe, content.get(PACKAGE_TABLE, {}), (PACKAGE_TABLE,), PACKAGE_TABLE)
        for field in declared_fields(Recipe, ROOT_TABLE):
            value, path = getattr(recipe, field.name), (field.key,)
            if isinstance(value, Source):
                yield from self._source(value, content.get(field.key, {}), path, SOURCE_TABLE)
            elif value is not None:
                yield from self._table(value, content.get(field.key, {}), path, field.key)

    def requirements(self, job: Job) -> Iterator[Value]:
        """Iterate over the build requirements and what else the source states."""
        own = set(self.recipe.build.requires)
        replaced = {canonicalize_name(Requirement(each).name): each for each in self.recipe.build.replaced_requires}
        for text in job.metadata.build_requires:
            if text in own:
                origin = self._line(("build", "requires"))
            elif (key := replaced.get(canonicalize_name(Requirement(text).name))) is not None:
                origin = self._line(("build", "replaced-requires", key))
            else:
                origin = SOURCE
            yield Value(key="build requirement", value=text, origin=origin)
        metadata = job.metadata
        for name, value in (
            ("build backend", metadata.build_backend),
            ("requires-python", metadata.requires_python),
            ("licence", metadata.license_line),
        ):
            yield Value(key=name, value=_shown(value), origin=SOURCE)
        for text in metadata.dependencies:
            yield Value(key="dependency", value=text, origin=SOURCE)

    def profiles(self, names: tuple[str, ...]) -> Iterator[Value]:
        """Iterate over QEMU's CPUs of the profiles that the check runs on."""
        for name in names:
            if name in PROFILES:
                yield Value(key=f"CPU of {name}", value=PROFILES[name].qemu_cpu, origin=PROFILE)

    def _source(self, source: Source, content: Mapping[str, Any], path: KeyPath, table: str) -> Iterator[Value]:
        yield Value(key=show((*path, "kind")), value=source.kind, origin=self._line((*path, "kind")))
        for value in self._table(source, content, path, table):
            if table == SOURCE_TABLE and value.key in ("source.project", "source.version") and value.origin == DEFAULT:
                key = "version" if value.key.endswith("version") else "name"
                value = Value(key=value.key, value=value.value, origin=f"package.{key}")
            yield value
        for folder, part in source.parts.items():
            yield from self._source(part, content["parts"][folder], (*path, "parts", folder), PART_TABLE)

    def _table(self, value: Any, content: Mapping[str, Any], path: KeyPath, table: str) -> Iterator[Value]:
        kind: Any = type(value)
        for field in declared_fields(kind, table):
            own, place = getattr(value, field.name), (*path, field.key)
            if is_table(field.hint) and own is not None:
                yield from self._table(own, content.get(field.key, {}), place, field.key)
            elif isinstance(own, Mapping) and own and field.key != "parts":
                yield from self._mapping(own, content.get(field.key, {}), place)
            elif field.key != "parts":
                yield self._value(field, own, content, place)

    def _value(self, field: DeclaredField, own: object, content: Mapping[str, Any], place: KeyPath) -> Value:
        if field.key not in content:
            return Value(key=show(place), value=_shown(own), origin=DEFAULT)
        # As people write it: an amount of memory, a path beside the recipe. Globs are shown expanded.
        raw = content[field.key]
        text = _shown(own if isinstance(own, tuple) else raw)
        return Value(key=show(place), value=text, origin=self._line(place))

    def _mapping(self, own: Mapping[str, Any], content: Mapping[str, Any], path: KeyPath) -> Iterator[Value]:
        for key, value in own.items():
            if isinstance(value, Mapping):
                yield from self._mapping(value, content.get(key, {}), (*path, key))
            else:
                stated = next((each for each in (key, *content) if each in content and fnmatchcase(key, each)), key)
                yield Value(key=show((*path, key)), value=_shown(value), origin=self._line((*path, stated)))

    def _line(self, path: KeyPath) -> str:
        file, line = self.document.place_of(path)
        return f"{file}:{line}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_shown, value)) or NONE
    if isinstance(value, Path):
        return value.name
    return NONE if value in (None, "", {}) else str(value)
