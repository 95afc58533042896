"""Signed statements beside the wheels of an index, copied from beside the stored wheels."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from pathlib import Path

from factory.publish.own_keys import statements_path
from factory.publish.statement import STATEMENT_LIMIT, read_statement
from factory.util.atomic_files import is_file, write_if_changed
from factory.util.jsonio import DAMAGED


def attested_keys(content: bytes, name: str, sha256: str) -> frozenset[str]:
    """Return the content keys that the statements in a file state, whoever signed them.

    Raises:
        ValueError: a line is damaged, or is about another file than `name` with this sha256.
    """
    keys = set()
    for line in content.splitlines():
        try:
            payload = b64decode(json.loads(line)["payload"])
        except DAMAGED as error:
            raise ValueError(f"damaged statement: {error}") from error
        statement = read_statement(payload)
        if (statement.name, statement.sha256) != (name, sha256):
            raise ValueError(f"statement about another file: {statement.name}, sha256 {statement.sha256}")
        keys |= {statement.record.key} if statement.record is not None else set()
    return frozenset(keys)


def key_ids(line: bytes) -> frozenset[str]:
    """Return the keys that a signed statement names; none if it is damaged."""
    try:
        return frozenset(str(each["keyid"]) for each in json.loads(line)["signatures"])
    except DAMAGED:
        return frozenset()


def merge_statements(earlier: bytes, newer: bytes, name: str, sha256: str) -> bytes:
    """Return the earlier statements by other keys, then the newer ones."""
    replaced = frozenset[str]().union(*map(key_ids, newer.splitlines()))
    kept = [line for line in earlier.splitlines() if replaced.isdisjoint(key_ids(line)) and _is_of(line, name, sha256)]
    return b"".join(line + b"\n" for line in (*kept, *newer.splitlines()))


def _is_of(line: bytes, name: str, sha256: str) -> bool:
    try:
        attested_keys(line, name, sha256)
    except ValueError:
        return False
    return bool(key_ids(line))


def copy_statements(wheel: Path, sha256: str, known: str | None, files: Path) -> str | None:
    """Copy a wheel's statements into `files`; return their sha256, None without any.

    `known` is the sha256 of those that were published before. They stay if there are none beside the wheel, and those
    by other keys in any case. Statements about another file are not published.
    """
    source, target = statements_path(wheel), statements_path(files / wheel.name)
    if not is_file(source) or (is_file(target) and source.samefile(target)):
        return known if is_file(target) else None
    if source.stat().st_size > STATEMENT_LIMIT:
        return known
    content = source.read_bytes()
    try:
        attested_keys(content, wheel.name, sha256)
    except ValueError:
        return known
    published = target.read_bytes() if is_file(target) else b""
    content = merge_statements(published, content, wheel.name, sha256)
    write_if_changed(target, content)
    return hashlib.sha256(content).hexdigest()
