"""Attestation of stored wheels: a signed statement for each build record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.model.artifacts import StoredWheel
from factory.model.record import BuildRecord
from factory.publish.own_keys import load_key, sign, statements_path
from factory.publish.statement import make_statement
from factory.publish.statement_files import attested_keys, key_ids, merge_statements
from factory.util.atomic_files import is_file, write_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestable:
    """A stored wheel and the records of its own build and checks, the oldest first."""

    wheel: StoredWheel
    records: tuple[BuildRecord, ...]


def attestable(wheels: Iterable[StoredWheel], records: Sequence[BuildRecord]) -> list[Attestable]:
    """Select the records of each wheel that this factory made and checked."""
    found = (Attestable(wheel=each, records=tuple(_own(each, records))) for each in wheels)
    return [each for each in found if each.records]


def _own(wheel: StoredWheel, records: Sequence[BuildRecord]) -> Iterable[BuildRecord]:
    for record in records:
        same = (record.wheel, record.wheel_sha256) == (wheel.path.name, wheel.sha256)
        checked = record.checks and all(check.passed for check in record.checks)
        if same and checked and not record.comparison and not record.substituted_from:
            yield record


def attest_with_key(wheels: Sequence[Attestable], key: Path) -> list[Path]:
    """Sign statements of wheels that lack one by this key; return the new files.

    Statements by other keys stay.

    Raises:
        PublishError: the key cannot be read.
        PrerequisiteMissing: the libraries that sign are not installed.
    """
    signer = load_key(key)
    written = []
    for each in wheels:
        path, wheel = statements_path(each.wheel.path), each.wheel
        earlier = path.read_bytes() if is_file(path) else b""
        if not _is_complete(earlier, each, signer.public_key.keyid):
            signed = b"".join(sign(make_statement(record), signer) for record in each.records)
            write_file(path, merge_statements(earlier, signed, wheel.path.name, wheel.sha256), durable=True)
            written.append(path)
    return written


def _is_complete(content: bytes, each: Attestable, keyid: str) -> bool:
    """Report whether a file has a statement of each record by this key, and nothing damaged."""
    own = b"\n".join(line for line in content.splitlines() if keyid in key_ids(line))
    try:
        attested_keys(content, each.wheel.path.name, each.wheel.sha256)
        return attested_keys(own, each.wheel.path.name, each.wheel.sha256) == {record.key for record in each.records}
    except ValueError:
        return False
