"""Core metadata of a wheel, read within limits: any file may claim to be a wheel."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

from packaging.metadata import InvalidMetadata, Metadata, RawMetadata, parse_email
from packaging.utils import canonicalize_name
from packaging.version import Version

from factory.errors import PublishError
from factory.publish.release import Origin, Release
from factory.publish.wheel_filename import parse_filename
from factory.util.atomic_files import sha256_of, write_if_changed

METADATA_SUFFIX = ".metadata"  # of the sidecar file that holds a wheel's METADATA (PEP 658)
SUMMARY_LIMIT = 300  # characters of a summary or a licence's name; some wheels have the licence's whole text there
METADATA_LIMIT = 4 << 20  # bytes; the longest real ones carry a project's whole changelog in some 100 kB
# Errors of a damaged zip archive.
UNREADABLE = (OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


def describe_wheel(path: Path, origin: Origin) -> Release:
    """Describe a wheel as the release that publishing it would make.

    Raises:
        PublishError: it isn't a wheel, or its file name and its metadata disagree.
    """
    project, version = parse_filename(path.name)
    content = read_metadata(path)
    requires_python = _read_requires_python(path, content, project, version)
    return Release(
        filename=path.name,
        project=project,
        version=version,
        sha256=sha256_of(path),
        size=path.stat().st_size,
        requires_python=requires_python,
        metadata_sha256=hashlib.sha256(content).hexdigest(),
        origin=origin,
    )


def read_metadata(path: Path) -> bytes:
    """Read the wheel's `*.dist-info/METADATA`, the bytes that PEP 658 serves.

    Raises:
        PublishError: there isn't exactly one, or it is larger than METADATA_LIMIT.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if _is_metadata(name)]
            if len(names) != 1:
                raise _invalid(path, f"it has {len(names)} *.dist-info/METADATA files instead of one")
            with archive.open(names[0]) as member:
                content = member.read(METADATA_LIMIT + 1)
    except UNREADABLE as error:
        raise _invalid(path, f"cannot read it: {error}") from error
    if len(content) > METADATA_LIMIT:
        raise _invalid(path, f"its METADATA is longer than {METADATA_LIMIT} bytes")
    return content


def write_metadata(wheel: Path, folder: Path) -> Path:
    """Write the wheel's METADATA into `folder` as the sidecar file to upload.

    Returns its path.

    Raises:
        PublishError: as `read_metadata`.
    """
    path = folder / f"{wheel.name}{METADATA_SUFFIX}"
    write_if_changed(path, read_metadata(wheel))
    return path


def read_summary(path: Path) -> tuple[str, str]:
    """Read the wheel's summary and its licence's name, one line each; empty where it has none.

    Raises:
        PublishError: as `read_metadata`.
    """
    return summary_of(read_metadata(path))


def summary_of(metadata: bytes) -> tuple[str, str]:
    """Return the summary and the licence's name of METADATA, as `read_summary`."""
    fields, _unparsed = parse_email(metadata)
    return _first_line(fields.get("summary", "")), _license(fields)


def _license(fields: RawMetadata) -> str:
    stated = _first_line(fields.get("license_expression", "")) or _first_line(fields.get("license", ""))
    classifiers = [text for text in fields.get("classifiers", []) if text.startswith("License ::")]
    return stated or ", ".join(_first_line(text.rpartition("::")[2]) for text in classifiers)


def _first_line(text: str) -> str:
    first = next((line.strip() for line in text.splitlines() if any(map(str.isalnum, line))), "")
    return first if len(first) <= SUMMARY_LIMIT else f"{first[: SUMMARY_LIMIT - 1]}…"


def _is_metadata(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return rest == "METADATA" and folder.endswith(".dist-info")


def _read_requires_python(path: Path, content: bytes, project: str, version: str) -> str | None:
    """Verify that METADATA states the file name's project and version.

    Returns the Python requirement.
    """
    try:
        metadata = Metadata.from_email(content, validate=False)
        stated = (canonicalize_name(metadata.name), metadata.version)
        requires_python = metadata.requires_python
    except (InvalidMetadata, ExceptionGroup) as error:
        raise _invalid(path, f"its METADATA can't be parsed: {error}") from error
    if stated != (project, Version(version)):
        raise _invalid(path, f"its METADATA is that of {stated[0]} {stated[1]}")
    return None if requires_python is None else str(requires_python)


def _invalid(path: Path, cause: str) -> PublishError:
    return PublishError(
        f"{path.name}: cannot publish: {cause}",
        hint=f"build the wheel again, or inspect it: python -m zipfile -l {path}",
    )
