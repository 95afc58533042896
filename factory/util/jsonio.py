"""Frozen dataclasses and structs as JSON files: written by rename, read with their types checked.

Paths below a `root` are written relative to it, so that a cache folder that was moved still finds its own files.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import msgspec
from cattrs.preconf.json import JsonConverter, make_converter

from factory.errors import StoreError
from factory.util.atomic_files import write_if_changed

T = TypeVar("T")

NOWHERE = Path()
# Kept, since looking at a large dataclass takes longer than reading one.
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {}
# What reading a file that holds something else comes to, before `structure` and in it, and in `decode` and `convert`.
DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    cattrs.BaseValidationError,
    msgspec.MsgspecError,
)


@lru_cache
def _converter(root: Path, *, with_defaults: bool = True) -> JsonConverter:
    converter = make_converter(omit_if_default=not with_defaults)
    converter.register_unstructure_hook(
        Path, lambda path: str(path.relative_to(root) if root != NOWHERE and path.is_relative_to(root) else path)
    )
    converter.register_unstructure_hook(msgspec.Struct, msgspec.to_builtins)
    converter.register_structure_hook(Path, lambda value, _: root / value)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    return converter


def timestamp() -> str:
    """The time now as records have it: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def dumps(value: object, root: Path = NOWHERE) -> str:
    """A dataclass or struct (or a tuple of them) as indented JSON text with sorted keys."""
    return json.dumps(_converter(root).unstructure(value), indent=1, sort_keys=True) + "\n"


def identify(value: object, root: Path) -> str:
    """A dataclass as JSON text that tells it from others: without what has its default value, mappings in their order.

    So it stays the same when the class gets a field more.
    """
    return json.dumps(_converter(root, with_defaults=False).unstructure(value))


def save(path: Path, value: object, root: Path = NOWHERE) -> None:
    """Write a dataclass as JSON, by rename."""
    write_if_changed(path, dumps(value, root).encode(), durable=True)


def structure(value: object, kind: type[T]) -> T:
    """What JSON gave as a dataclass.

    Raises:
        cattrs.BaseValidationError: it holds something else.
    """
    return _converter(NOWHERE).structure(value, kind)


def encode(value: object) -> bytes:
    """What JSON can hold, and dataclasses, as text in one line with sorted names: for what is large or often made."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can name and UTF-8 can't hold
        return json.dumps(msgspec.to_builtins(value), sort_keys=True).encode()


def decode(content: bytes, kind: type[T]) -> T:
    """What JSON text holds as a dataclass, without paths in it: for files of which there are very many.

    Raises:
        msgspec.MsgspecError: it isn't JSON, or holds something else.
    """
    decoder = _DECODERS.get(kind) or _DECODERS.setdefault(kind, msgspec.json.Decoder(kind))
    value: T = decoder.decode(content)
    return value


def convert(value: object, kind: type[T]) -> T:
    """As `decode`, of what JSON gave already.

    Raises:
        msgspec.MsgspecError: it holds something else.
    """
    return msgspec.convert(value, kind)


def load(path: Path, kind: type[T], root: Path = NOWHERE) -> T:
    """Read what `save` wrote.

    Raises:
        StoreError: the file is damaged or holds something else.
    """
    try:
        return _converter(root).structure(json.loads(path.read_text(encoding="utf-8")), kind)
    except (ValueError, cattrs.BaseValidationError) as error:
        raise StoreError(f"{path} is damaged: {error}", hint=f"remove it and run again: rm {path}") from error
