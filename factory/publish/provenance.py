"""Provenance beside a wheel (PEP 740).

It holds signed attestations, which are read as far as publishing needs them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from factory.errors import PublishError
from factory.util.atomic_files import is_file
from factory.util.jsonio import DAMAGED, decode

PROVENANCE_SUFFIX = ".provenance"
PROVENANCE_LIMIT = 4 << 20  # bytes; real files have some 10 kB a signature


class _Subject(msgspec.Struct):
    digest: dict[str, str]


class _Statement(msgspec.Struct):
    """The signed in-toto statement; only its subjects are read."""

    subject: list[_Subject]


class _Envelope(msgspec.Struct):
    statement: bytes  # base64 in the file


class _Attestation(msgspec.Struct):
    envelope: _Envelope


class _Bundle(msgspec.Struct):
    attestations: list[_Attestation]


class _Provenance(msgspec.Struct):
    """A provenance object of PEP 740."""

    version: Literal[1]
    attestation_bundles: list[_Bundle]


def provenance_path(wheel: Path) -> Path:
    """Return the path of a wheel's provenance, whether or not there is one."""
    return wheel.with_name(f"{wheel.name}{PROVENANCE_SUFFIX}")


def read_provenance(wheel: Path, sha256: str) -> str | None:
    """Return the sha256 of the provenance beside a wheel; None where there is none.

    Every attestation must have the wheel's `sha256` as a subject. Signatures and signers are for readers to verify.

    Raises:
        PublishError: it is no provenance object, is longer than PROVENANCE_LIMIT, or attests another file.
    """
    path = provenance_path(wheel)
    if not is_file(path):
        return None
    try:
        if path.stat().st_size > PROVENANCE_LIMIT:
            raise ValueError(f"it is longer than {PROVENANCE_LIMIT} bytes")
        content = path.read_bytes()
        statements = _read_statements(content)
        if not statements:
            raise ValueError("it has no attestation")
    except (OSError, *DAMAGED) as error:
        raise PublishError(
            f"{path.name}: invalid provenance: {error}", hint="replace it by a provenance object as PEP 740 defines it"
        ) from error
    if not all(_attests(statement, sha256) for statement in statements):
        raise PublishError(
            f"{path.name}: provenance of another file: it has {_describe_subjects(statements)}, the wheel has sha256 "
            f"{sha256}",
            hint="attest this file, or remove provenance that belongs to another build",
        )
    return hashlib.sha256(content).hexdigest()


def _read_statements(content: bytes) -> list[_Statement]:
    bundles = decode(content, _Provenance).attestation_bundles
    attestations = (attestation for bundle in bundles for attestation in bundle.attestations)
    return [decode(attestation.envelope.statement, _Statement) for attestation in attestations]


def _attests(statement: _Statement, sha256: str) -> bool:
    return any(subject.digest.get("sha256") == sha256 for subject in statement.subject)


def _describe_subjects(statements: Sequence[_Statement]) -> str:
    found = {subject.digest.get("sha256", "none") for statement in statements for subject in statement.subject}
    return f"attestations of sha256 {', '.join(sorted(found))}" if found else "no attestation of any file"
