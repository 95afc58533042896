"""Frozen dataclasses as JSON files: written by rename, read with their types checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import cattrs
from cattrs.preconf.json import make_converter

from factory.errors import StoreError
from factory.files import write_if_changed

T = TypeVar("T")

_converter = make_converter()
_converter.register_unstructure_hook(Path, str)
_converter.register_structure_hook(Path, lambda value, _: Path(value))
_converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)


def dumps(value: object) -> str:
    """A dataclass (or a tuple of them) as indented JSON text with sorted keys."""
    return json.dumps(_converter.unstructure(value), indent=1, sort_keys=True) + "\n"


def save(path: Path, value: object) -> None:
    """Write a dataclass as JSON, by rename."""
    write_if_changed(path, dumps(value).encode(), durable=True)


def load(path: Path, kind: type[T]) -> T:
    """Read what `save` wrote.

    Raises:
        StoreError: the file is damaged or holds something else.
    """
    try:
        return _converter.structure(json.loads(path.read_text(encoding="utf-8")), kind)
    except (ValueError, cattrs.BaseValidationError) as error:
        raise StoreError(f"{path} is damaged: {error}", hint=f"remove it and run again: rm {path}") from error
