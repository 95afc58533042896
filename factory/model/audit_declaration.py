"""Audit declaration: the recipe's declarations as a file in the wheel's .dist-info.

Without it, nobody but the factory that built a wheel could audit it: the declarations are in the recipe.
"""

from __future__ import annotations

import json
from dataclasses import replace

from factory.model.recipe import AuditOptions

# Its name in .dist-info.
DECLARATION = "factory-audit.json"
VERSION = 1
FIELDS = ("dispatched", "provided")


def encode_declaration(options: AuditOptions) -> bytes:
    """Return the file's content; empty if there is nothing to declare."""
    fields = {name: sorted(getattr(options, name)) for name in FIELDS if getattr(options, name)}
    return (json.dumps({"version": VERSION, **fields}, indent=1) + "\n").encode() if fields else b""


def decode_declaration(content: bytes) -> AuditOptions:
    """Read the file's content.

    Raises:
        ValueError: it is of another form or version.
    """
    try:
        fields = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(fields, dict) or fields.pop("version", None) != VERSION:
        raise ValueError(f"not a declaration of version {VERSION}")
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}")
    for name, values in fields.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name} is not a list of strings")
    lists = {name: tuple(fields.get(name, ())) for name in FIELDS}
    return AuditOptions(dispatched=lists["dispatched"], provided=lists["provided"])


def merge_declarations(first: AuditOptions, second: AuditOptions) -> AuditOptions:
    """Return the first options with the declarations of the second added."""
    return replace(
        first,
        dispatched=tuple(dict.fromkeys((*first.dispatched, *second.dispatched))),
        provided=tuple(dict.fromkeys((*first.provided, *second.provided))),
    )
