"""Frozen dataclasses and structs as JSON files.

They are written by rename and read with their types checked.

Paths below a `root` are written relative to it, so that the files of a cache stay valid when the cache is moved.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import msgspec

from factory.errors import StoreError
from factory.util.atomic_files import write_if_changed

T = TypeVar("T")


class Tagged:
    """Base of dataclasses that are values of a field of a common base class.

    Their identity begins with `kind`.

    Fields that `json_order` names come next, in that order.
    """

    __slots__ = ()
    kind: ClassVar[str]
    json_order: ClassVar[tuple[str, ...]] = ()


NO_ROOT = Path()
# Building a decoder of a large dataclass takes longer than decoding one.
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {}
# Exceptions that reading a file with other content raises: before `convert`, and in `convert` and `decode`.
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, msgspec.MsgspecError)


def timestamp() -> str:
    """Return the current time as records write it: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def dumps(value: object, root: Path = NO_ROOT) -> str:
    """Return a dataclass, struct or tuple of them as indented, sorted JSON text."""
    return json.dumps(_to_builtins(value, root), indent=1, sort_keys=True) + "\n"


Defaults = Mapping[str, Mapping[str, object]]


def identify(value: object, root: Path, defaults: Defaults) -> str:
    """Return JSON text that identifies a dataclass.

    It omits fields that have the values of `defaults` (class -> field -> value) and keeps mappings in their order. The
    defaults of the classes themselves may change: such a change changes identities.
    """
    return json.dumps(_to_builtins(_without_defaults(value, defaults), root))


def save(path: Path, value: object, root: Path = NO_ROOT) -> None:
    """Write a dataclass as JSON, by rename."""
    write_if_changed(path, dumps(value, root).encode(), durable=True)


def encode(value: object) -> bytes:
    """Encode builtins and dataclasses as JSON on one line with sorted names.

    This is for large or frequent output.
    """
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can name and UTF-8 can't hold
        return json.dumps(msgspec.to_builtins(value), sort_keys=True).encode()


def decode(content: bytes, kind: type[T]) -> T:
    """Decode JSON text as a dataclass without paths: fast enough for very many files.

    Raises:
        msgspec.MsgspecError: it isn't JSON, or its content doesn't fit `kind`.
    """
    decoder = _DECODERS.get(kind) or _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
    value: T = decoder.decode(content)
    return value


@lru_cache(maxsize=64)
def _decoder(kind: Hashable, root: Path) -> msgspec.json.Decoder[Any]:
    """Return a decoder that takes relative paths as relative to `root`."""
    return msgspec.json.Decoder(kind, dec_hook=_path_hook(root))


def _path_hook(root: Path) -> Callable[[type, Any], object]:
    def build(wanted: type, value: Any) -> object:
        return root / value if wanted is Path else value  # else `object`: JSON as it is

    return build


def convert(value: object, kind: type[T], root: Path = NO_ROOT) -> T:
    """Convert parsed JSON to a dataclass; relative paths are taken as relative to `root`.

    Raises:
        msgspec.MsgspecError: its content doesn't fit `kind`.
    """
    return msgspec.convert(value, kind, dec_hook=_path_hook(root))


def load(path: Path, kind: type[T], root: Path = NO_ROOT) -> T:
    """Read what `save` wrote.

    Raises:
        StoreError: the file is damaged or its content doesn't fit `kind`.
    """
    content = path.read_bytes()
    try:
        value: T = _decoder(cast(Hashable, kind), root).decode(content)
        return value
    except DAMAGED:
        pass  # also JSON's NaN and halves of surrogate pairs, which only the slower reader takes
    try:
        return convert(json.loads(content.decode()), kind, root)
    except DAMAGED as error:
        raise StoreError(f"{path}: file is damaged: {error}", hint=f"remove it and run again: rm {path}") from error


def _to_builtins(value: object, root: Path) -> object:
    def simplify(part: Any) -> str:
        if not isinstance(part, Path):
            raise NotImplementedError(f"{type(part).__name__} has no form in JSON")
        return str(part.relative_to(root) if root != NO_ROOT and part.is_relative_to(root) else part)

    return msgspec.to_builtins(value, enc_hook=simplify)


def _without_defaults(value: object, defaults: Defaults) -> object:
    """Replace dataclasses, at any depth, by mappings of their non-default fields."""
    if isinstance(value, Tagged):
        stated = dict(_stated(value, defaults))
        return {"kind": value.kind} | {name: stated[name] for name in value.json_order if name in stated} | stated
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dict(_stated(value, defaults))
    if isinstance(value, Mapping):
        return {name: _without_defaults(part, defaults) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_without_defaults(part, defaults) for part in value]
    return value


def _stated(value: Any, defaults: Defaults) -> Iterator[tuple[str, object]]:
    own = defaults.get(type(value).__name__, {})
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if field.name in own and part == own[field.name]:
            continue
        stated = _without_defaults(part, defaults)
        # A part that is a table of the recipe, with all its fields at their defaults.
        if stated != {} or not dataclasses.is_dataclass(field.default):
            yield field.name, stated
