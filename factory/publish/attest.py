"""Attestation of stored wheels: a signed statement for each build record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.model.artifacts import StoredWheel
from factory.model.record import BuildRecord
from factory.publish.own_keys import load_key, sign, statements_path
from factory.publish.statement import make_statement
from factory.publish.statement_files import attested_keys
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
    """Sign the statements of wheels that lack them; return the files that were written.

    Raises:
        PublishError: the key cannot be read.
        PrerequisiteMissing: the libraries that sign are not installed.
    """
    signer = load_key(key)
    written = []
    for each in wheels:
        path = statements_path(each.wheel.path)
        if not _is_complete(path, each, signer.public_key.keyid):
            write_file(path, b"".join(sign(make_statement(record), signer) for record in each.records), durable=True)
            written.append(path)
    return written


def _is_complete(path: Path, wheel: Attestable, keyid: str) -> bool:
    """Report whether a file has a statement of each record, with this key."""
    if not is_file(path):
        return False
    content = path.read_bytes()
    try:
        keys = attested_keys(content, wheel.wheel.path.name, wheel.wheel.sha256)
    except ValueError:
        return False
    own = all(f'"keyid":"{keyid}"'.encode() in line for line in content.splitlines())
    return own and keys == {record.key for record in wheel.records}
