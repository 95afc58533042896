"""What a wheel says about itself: its core metadata, read within limits, since any file may claim to be a wheel."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Literal

import msgspec
from packaging.metadata import InvalidMetadata, Metadata, RawMetadata, parse_email
from packaging.utils import canonicalize_name
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.ledger import Origin, Release, parse_filename
from factory.util.atomic_files import is_file, sha256_of, write_if_changed
from factory.util.jsonio import DAMAGED, decode

# What may lie beside a wheel, by the ending of its name: PEP 658's and PEP 740's.
METADATA, PROVENANCE = ".metadata", ".provenance"
WORDS_LIMIT = 300  # characters of a summary or a licence's name; some have the licence's whole text there
PROVENANCE_LIMIT = 4 << 20  # bytes; real ones have some 10 kB a signature
METADATA_LIMIT = 4 << 20  # bytes; the longest real ones carry a project's whole changelog in some 100 kB


def describe_wheel(path: Path, origin: Origin) -> Release:
    """The release that publishing `path` would make.

    Raises:
        PublishError: it isn't a wheel, or its file name, its metadata and its limits don't agree.
    """
    project, version = parse_filename(path.name)
    text = read_metadata(path)
    requires_python = _verify(path, text, project, version)
    return Release(
        filename=path.name,
        project=project,
        version=version,
        sha256=sha256_of(path),
        size=path.stat().st_size,
        requires_python=requires_python,
        metadata_sha256=hashlib.sha256(text).hexdigest(),
        origin=origin,
    )


def read_metadata(path: Path) -> bytes:
    """The bytes of the wheel's `*.dist-info/METADATA`, as PEP 658 serves them.

    Raises:
        PublishError: there isn't exactly one, or it is larger than METADATA_LIMIT.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if _is_metadata(name)]
            if len(names) != 1:
                raise _refused(path, f"it has {len(names)} *.dist-info/METADATA files instead of one")
            with archive.open(names[0]) as member:
                text = member.read(METADATA_LIMIT + 1)
    except (OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _refused(path, f"it can't be read: {error}") from error
    if len(text) > METADATA_LIMIT:
        raise _refused(path, f"its METADATA is longer than {METADATA_LIMIT} bytes")
    return text


def write_metadata(wheel: Path, folder: Path) -> Path:
    """Write the wheel's METADATA into `folder`, to be uploaded beside the wheel; returns the file.

    Raises:
        PublishError: as `read_metadata`.
    """
    path = folder / f"{wheel.name}{METADATA}"
    write_if_changed(path, read_metadata(wheel))
    return path


def read_words(path: Path) -> tuple[str, str]:
    """What the wheel says of itself: its summary and its licence's name, each a line, empty where it has none.

    Raises:
        PublishError: as `read_metadata`.
    """
    fields, _unparsed = parse_email(read_metadata(path))
    return _line(fields.get("summary", "")), _license(fields)


def _license(fields: RawMetadata) -> str:
    named = _line(fields.get("license_expression", "")) or _line(fields.get("license", ""))
    classifiers = [text for text in fields.get("classifiers", []) if text.startswith("License ::")]
    return named or ", ".join(_line(text.rpartition("::")[2]) for text in classifiers)


def _line(text: str) -> str:
    first = next((line.strip() for line in text.splitlines() if any(map(str.isalnum, line))), "")
    return first if len(first) <= WORDS_LIMIT else f"{first[: WORDS_LIMIT - 1]}…"


def provenance_of(wheel: Path) -> Path:
    """Where the provenance of a wheel lies (PEP 740), if it has one."""
    return wheel.with_name(f"{wheel.name}{PROVENANCE}")


class _Subject(msgspec.Struct):
    digest: dict[str, str]


class _Statement(msgspec.Struct):
    """What is signed: an in-toto statement, of which only what it is about is read."""

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


def read_provenance(wheel: Path, sha256: str) -> str | None:
    """The sha256 of the provenance beside a wheel; None where there is none.

    Every attestation in it is about the wheel with this `sha256`; whether its signature is right, and its signer to be
    trusted, is its readers' to judge.

    Raises:
        PublishError: it is no provenance object of PEP 740, is longer than PROVENANCE_LIMIT, or about another file.
    """
    path = provenance_of(wheel)
    if not is_file(path):
        return None
    try:
        if path.stat().st_size > PROVENANCE_LIMIT:
            raise ValueError(f"it is longer than {PROVENANCE_LIMIT} bytes")
        text = path.read_bytes()
        statements = _statements(text)
    except (OSError, *DAMAGED) as error:
        raise PublishError(
            f"{path.name} can't be published: {error}", hint="it must be a provenance object as PEP 740 defines it"
        ) from error
    if not statements or not all(_is_about(statement, sha256) for statement in statements):
        raise PublishError(
            f"{path.name} can't be published: it has {_attested(statements)}, and the wheel has sha256 {sha256}",
            hint="attest this very file, or take away what belongs to another build of it",
        )
    return hashlib.sha256(text).hexdigest()


def _statements(text: bytes) -> list[_Statement]:
    bundles = decode(text, _Provenance).attestation_bundles
    attestations = (attestation for bundle in bundles for attestation in bundle.attestations)
    return [decode(attestation.envelope.statement, _Statement) for attestation in attestations]


def _is_about(statement: _Statement, sha256: str) -> bool:
    return any(subject.digest.get("sha256") == sha256 for subject in statement.subject)


def _attested(statements: list[_Statement]) -> str:
    """What attestations are about, in words for a message."""
    found = {subject.digest.get("sha256", "none") for statement in statements for subject in statement.subject}
    return f"attestations of sha256 {', '.join(sorted(found))}" if found else "no attestation of any file"


def _is_metadata(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return rest == "METADATA" and folder.endswith(".dist-info")


def _verify(path: Path, text: bytes, project: str, version: str) -> str | None:
    """See that name and version are the file name's; returns the Python requirement."""
    try:
        metadata = Metadata.from_email(text, validate=False)
        stated = (canonicalize_name(metadata.name), metadata.version)
        requires_python = metadata.requires_python
    except (InvalidMetadata, ExceptionGroup) as error:
        raise _refused(path, f"its METADATA is wrong: {error}") from error
    if stated != (project, Version(version)):
        raise _refused(path, f"its METADATA is that of {stated[0]} {stated[1]}")
    return None if requires_python is None else str(requires_python)


def _refused(path: Path, reason: str) -> PublishError:
    return PublishError(
        f"{path.name} can't be published: {reason}",
        hint=f"build the wheel again, or look into it: python -m zipfile -l {path}",
    )
