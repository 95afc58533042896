"""Verified statements about a wheel, signed by keys or certificates (PEP 740)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.errors import PublishError
from factory.model.record import BuildRecord
from factory.publish.libraries import CERTIFICATES, KEYS, require_signing
from factory.publish.own_keys import STATEMENTS_SUFFIX, Signed, verify_lines
from factory.publish.provenance import PROVENANCE_LIMIT
from factory.publish.published_index import IndexedFile, PublishedIndex
from factory.publish.signers import TrustedSigner
from factory.publish.statement import STATEMENT_LIMIT, Statement, read_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Signed files of a wheel: statements with own keys, and provenance of PEP 740."""

    statements: bytes | None = None
    provenance: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """A statement with its trusted signer, or with keys and identities nobody trusts."""

    statement: Statement
    signer: str
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestations:
    """The valid statements about a file, and the reasons why others are not."""

    valid: tuple[Attested, ...] = ()
    invalid: tuple[str, ...] = ()

    @property
    def trusted(self) -> tuple[Attested, ...]:
        """The statements of trusted signers."""
        return tuple(each for each in self.valid if each.signer)

    @property
    def records(self) -> tuple[BuildRecord, ...]:
        """The records in trusted statements; else those in others, which prove nothing."""
        stated = (each.statement.record for each in self.trusted or self.valid)
        return tuple(record for record in stated if record is not None)


def read_evidence(index: PublishedIndex, project: str, file: IndexedFile, *, certified: bool = True) -> Evidence:
    """Read the signed files beside a wheel of an index, provenance only if `certified`.

    Raises:
        PublishError: the index does not answer, or a file is too large.
    """
    return Evidence(
        statements=index.sidecar(file.filename, STATEMENTS_SUFFIX, STATEMENT_LIMIT),
        provenance=index.provenance(file, PROVENANCE_LIMIT) if certified else None,
    )


def verify_evidence(name: str, sha256: str, evidence: Evidence, signers: Sequence[TrustedSigner]) -> Attestations:
    """Verify all signed statements about the file `name`.

    Raises:
        PublishError: a signer's file cannot be read.
        PrerequisiteMissing: the libraries that verify are not installed.
    """
    valid: list[Attested] = []
    invalid: list[str] = []
    for signed in _signed(name, evidence, signers):
        try:
            valid.append(_attested(signed, name, sha256))
        except ValueError as error:
            invalid.append(str(error))
    return Attestations(valid=tuple(valid), invalid=tuple(invalid))


def _signed(name: str, evidence: Evidence, signers: Sequence[TrustedSigner]) -> Iterator[Signed | ValueError]:
    if evidence.statements is not None:
        require_signing(name, KEYS)
        yield from verify_lines(evidence.statements, signers)
    if evidence.provenance is not None:
        from factory.publish.certified import verify_provenance

        require_signing(name, CERTIFICATES)
        yield from verify_provenance(evidence.provenance, signers)


def _attested(signed: Signed | ValueError, name: str, sha256: str) -> Attested:
    if isinstance(signed, ValueError):
        raise signed
    statement = read_statement(signed.payload)
    if (statement.name, statement.sha256) != (name, sha256):
        raise ValueError(f"the statement is about another file: {statement.name}, sha256 {statement.sha256}")
    return Attested(statement=statement, signer=signed.signer, unknown=signed.unknown)


def require_trusted(attestations: Attestations, name: str) -> None:
    """Require a statement of a trusted signer, and no invalid one.

    Raises:
        PublishError: the reason.
    """
    if attestations.invalid:
        raise PublishError(f"{name}: refused: {attestations.invalid[0]}")
    if not attestations.valid:
        raise PublishError(f"{name}: refused: it has no signature")
    if not attestations.trusted:
        unknown = ", ".join(key for each in attestations.valid for key in each.unknown)
        raise PublishError(f"{name}: refused: no trusted signer has signed it, only {unknown}")
