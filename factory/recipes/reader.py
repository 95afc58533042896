"""Reader of declared dataclasses from TOML documents.

A value is structured by cattrs with hooks that note every mistake in the document and go on with a default, so that all
mistakes of a file are reported at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import cattrs

from factory.model.artifacts import SourceTree
from factory.model.declaration import BesideRecipe, MayBeEmpty, MemoryAmount, OneOf, Rule
from factory.model.source import PART_TABLE, SOURCE_TABLE, Overlay, Source
from factory.recipes.document import Document, KeyPath, did_you_mean, unknown
from factory.recipes.globs import expand_globs
from factory.util.log import LogSink

T = TypeVar("T")

KIND = "kind"
_BYTES = re.compile(r"(\d+(?:\.\d+)?) ?(MB|GB)")
_UNITS = {"MB": 10**6, "GB": 10**9}
_NAMES = {str: "a string", bool: "a boolean", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


class Refused(Exception):
    """A value of another type than declared; the mistake is noted."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Context of a value: its file, the source kinds, and the package's identity."""

    document: Document
    kinds: Mapping[str, type[Source]]
    project: str = ""
    version: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of a document with its key path."""

    content: object
    path: KeyPath
    context: Context

    def problem(self, message: str) -> None:
        """Note a mistake in the value."""
        self.context.document.problem(self.path, message)

    def child(self, key: str) -> Value:
        """Return the value of a table's key; its content is None where the table lacks it."""
        content = self.content.get(key) if isinstance(self.content, dict) else None
        return Value(content=content, path=(*self.path, key), context=self.context)

    def of(self, expected: str, *kinds: type) -> Any:
        """Return the content, which must be of one of `kinds`; `expected` names them.

        Raises:
            Refused: it is of another type.
        """
        # In Python a bool is an int; in TOML it is not.
        if isinstance(self.content, kinds) and (bool in kinds or not isinstance(self.content, bool)):
            return self.content
        self.problem(f"must be {expected}, not {_NAMES.get(type(self.content), 'a date or time')}")
        raise Refused


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredField:
    """A field of a declared class, with its key in TOML."""

    name: str
    key: str
    hint: Any
    about: str
    default: object
    factory: Any

    @property
    def required(self) -> bool:
        """True if the key must be given."""
        return self.default is dataclasses.MISSING and self.factory is dataclasses.MISSING


@lru_cache
def declared_fields(kind: type, table: str) -> Sequence[DeclaredField]:
    """Return the fields of a class that a table declares, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        DeclaredField(
            name=field.name,
            key=field.metadata["key"] or field.name.replace("_", "-"),
            hint=hints[field.name],
            about=field.metadata["about"],
            default=field.default,
            factory=field.default_factory,
        )
        for field in dataclasses.fields(kind)
        if "about" in field.metadata and table in (field.metadata["tables"] or (table,))
    ]


def read_file(path: Path, kind: type[T]) -> T:
    """Read a TOML file as a declared class.

    Raises:
        RecipeError: one line for each mistake.
    """
    document = Document(path)
    context = Context(document=document, kinds={})
    values = read_table(Value(content=document.data, path=(), context=context), kind, "")
    document.finish()
    return kind(**values)


def read(value: Value, kind: type[T]) -> T:
    """Structure a value as a declared type; mistakes in it are noted in the document.

    Raises:
        Refused: it is of another type.
    """
    return _CONVERTER.structure(value, kind)


def read_table(
    value: Value, kind: type, table: str, *, given: Mapping[str, object] | None = None, known: Collection[str] = ()
) -> dict[str, Any]:
    """Read the fields that a class declares for a table.

    Fields that the table lacks and that have a default are omitted.

    `given` are values of fields that the table lacks or has with a mistake, and `known` are keys of it that are read
    elsewhere.

    Raises:
        Refused: the value is no table.
    """
    content = value.of("a table", dict)
    declared = declared_fields(kind, table)
    values = dict(given or {})
    for field in declared:
        child = value.child(field.key)
        if field.key in content:
            try:
                values[field.name] = read(child, field.hint)
            except Refused:
                if field.required and field.name not in values:
                    values[field.name] = _blank(field.hint, value.context)
        elif field.required and field.name not in values:
            child.problem("is missing")
            values[field.name] = _blank(field.hint, value.context)
    _report_unknown_keys(value, {*known, *(field.key for field in declared)})
    return values


def _report_unknown_keys(value: Value, known: Collection[str]) -> None:
    content = value.of("a table", dict)
    # A missing known key is the likelier meaning; one that is given already is not.
    missing = [key for key in known if key not in content]
    for key in content:
        if key not in known:
            value.child(key).problem("unknown key" + did_you_mean(key, sorted(missing)))


def _blank(hint: Any, context: Context) -> object:
    """Return a value to go on with in the place of one that is missing or refused."""
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return UnreadSource(project=context.project, version=context.version, sha256="") if kind is Source else kind()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnreadSource(Source):
    """Placeholder for a source with a mistake, whose recipe is refused."""

    kind: ClassVar[str] = ""

    def fetch(self, cache: Path, destination: Path, log: LogSink) -> SourceTree:
        """Refuse: no recipe has such a source."""
        raise NotImplementedError


def _read_string(value: Value, _: Any) -> str:
    text = str(value.of("a string", str))
    if not text:
        value.problem("must not be empty")
    return text


def _read_boolean(value: Value, _: Any) -> bool:
    return bool(value.of("true or false", bool))


def _read_integer(value: Value, _: Any) -> int:
    return int(_not_negative(value, value.of("a whole number", int)))


def _read_number(value: Value, _: Any) -> float:
    return float(_not_negative(value, value.of("a number", int, float)))


def _not_negative(value: Value, number: float) -> float:
    if not number >= 0:
        value.problem("must not be negative")
        raise Refused
    return number


def _read_scalar(value: Value, _: Any) -> object:
    return value.of("a string, boolean or number", str, bool, int, float)


def _read_list(value: Value, kind: Any) -> tuple[object, ...]:
    items = value.of("a list of strings", list)
    if not all(isinstance(item, str) and item for item in items):
        value.problem("must be a list of strings that are not empty")
        raise Refused
    return tuple(read(dataclasses.replace(value, content=item), get_args(kind)[0]) for item in items)


def _read_mapping(value: Value, kind: Any) -> dict[str, object]:
    key_kind, item_kind = get_args(kind)
    result: dict[str, object] = {}
    for key in value.of("a table", dict):
        child = value.child(key)
        if get_origin(key_kind) is Annotated:
            _apply_rule(get_args(key_kind)[1], key, child)
        try:
            result[key] = read(child, item_kind)
        except Refused:
            continue
    return result


def _read_union(value: Value, kind: Any) -> Any:
    kinds = [each for each in get_args(kind) if each is not type(None)]
    if len(kinds) == 1:
        return read(value, kinds[0])
    value.of("a string or a list of strings", str, list)
    return read(value, next(each for each in kinds if (get_origin(each) is tuple) is isinstance(value.content, list)))


def _read_dataclass(value: Value, kind: type) -> Any:
    return kind(**read_table(value, kind, value.path[-1] if value.path else ""))


def _read_source(value: Value, _: Any) -> Source:
    """Read a source by its kind.

    The package's own source has the package's project and version by default.
    """
    context = value.context
    content, kind = value.of("a table", dict), value.child(KIND)
    name = read(kind, str) if KIND in content else ""
    if name not in context.kinds:  # the known keys depend on the kind
        if KIND not in content:
            kind.problem("is missing")
        elif name:
            kind.problem(unknown(name, context.kinds))
        return UnreadSource(project=context.project, version=context.version, sha256="")
    own = value.path == (SOURCE_TABLE,)
    given = {"project": context.project, "version": context.version} if own else {}
    table = SOURCE_TABLE if own else PART_TABLE
    return context.kinds[name](**read_table(value, context.kinds[name], table, given=given, known=(KIND,)))


def _read_overlay(value: Value, _: Any) -> Overlay | None:
    folders: tuple[Path, ...] = read(value, tuple[Annotated[Path, BesideRecipe(folder=True)], ...])
    context = value.context
    return Overlay(project=context.project, version=context.version, folders=folders) if folders else None


def _read_by_rule(value: Value, kind: Any) -> Any:
    base, rule = get_args(kind)
    text = read(value, base)
    if text:
        _apply_rule(rule, text, value)
    return text


def _apply_rule(rule: Rule, text: str, value: Value) -> None:
    if not rule.holds(text):
        value.problem(rule.refusal.format(value=repr(text)))


def _read_choice(value: Value, kind: Any) -> Any:
    base, known = get_args(kind)
    chosen = read(value, base)
    if isinstance(chosen, str):
        if chosen and chosen not in known.names:
            value.problem(unknown(chosen, known.names))
        return chosen
    return _check_choices(value, chosen, known)


def _check_choices(value: Value, chosen: tuple[str, ...], known: OneOf) -> tuple[str, ...]:
    if not chosen:
        value.problem(known.if_empty)
    for name in dict.fromkeys(chosen):
        if chosen.count(name) > 1:
            value.problem(f"{name!r} is named twice")
    if not known.names:
        return chosen
    names, unmatched = expand_globs(chosen, known.names) if known.globs else (chosen, ())
    for name in [*unmatched, *(name for name in dict.fromkeys(names) if name not in known.names)]:
        value.problem(unknown(name, known.names))
    return names


def _read_text(value: Value, _: Any) -> str:
    return str(value.of("a string", str))


def _read_bytes(value: Value, _: Any) -> int:
    text = read(value, str)
    match = _BYTES.fullmatch(text)
    if text and match is None:
        value.problem(f'{text!r} is not an amount of memory; write it like "1.5 GB" or "800 MB"')
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _read_path(value: Value, kind: Any) -> Path:
    _, place = get_args(kind)
    text, directory = read(value, str), value.context.document.folder_of(value.path)
    path = directory / text
    if not text:
        return path
    if PurePosixPath(text).is_absolute():
        value.problem("must be relative to the recipe's folder")
    elif not (path.is_dir() if place.folder else path.is_file()):
        value.problem(f"{text!r} is not a {'folder' if place.folder else 'file'} beside this recipe")
    return path


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    for scalar, hook in ((str, _read_string), (bool, _read_boolean), (int, _read_integer), (float, _read_number)):
        converter.register_structure_hook(scalar, hook)
    for predicate, structure in (
        (dataclasses.is_dataclass, _read_dataclass),
        (lambda kind: kind is object, _read_scalar),
        (lambda kind: kind is Source, _read_source),
        (lambda kind: kind is Overlay, _read_overlay),
        (lambda kind: _origin(kind) is tuple, _read_list),
        (lambda kind: _origin(kind) is Mapping, _read_mapping),
        (lambda kind: _origin(kind) in (Union, UnionType), _read_union),
    ):
        converter.register_structure_hook_func(predicate, structure)
    for marker, structure in (
        (Rule, _read_by_rule),
        (OneOf, _read_choice),
        (MayBeEmpty, _read_text),
        (MemoryAmount, _read_bytes),
        (BesideRecipe, _read_path),
    ):
        converter.register_structure_hook_func(_is_marked_with(marker), structure)
    return converter


def _origin(kind: Any) -> Any:
    return get_origin(kind)


def _is_marked_with(marker: type) -> Any:
    return lambda kind: _origin(kind) is Annotated and isinstance(get_args(kind)[1], marker)


_CONVERTER = _make_converter()
