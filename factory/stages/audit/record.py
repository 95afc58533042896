"""Check of a wheel's RECORD: installers trust it, and it says what an uninstaller removes."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from factory.stages.audit.report import Finding
from factory.stages.audit.wheel_reader import WheelFile

RECORD_BYTES = 64 << 20
# The RECORD cannot hold its own hash, nor those of its signatures.
UNHASHED = ("RECORD", "RECORD.jws", "RECORD.p7s")
WEAK = ("md5", "sha1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """Size and sha256 of a file in the wheel."""

    size: int
    sha256: bytes


def check_record(archive: WheelFile, files: Mapping[str, Hashed]) -> Iterator[Finding]:
    """Compare the RECORD with the files of the wheel."""
    content = archive.metadata("RECORD", RECORD_BYTES)
    if content is None:
        yield _finding("the wheel has no .dist-info/RECORD, or one that is too large")
        return
    try:
        rows = [row for row in csv.reader(StringIO(content.decode("utf-8"))) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        yield _finding(f"its RECORD cannot be read ({error})")
        return
    listed = [row[0] for row in rows]
    yield from _some("is listed twice in RECORD", sorted(name for name, count in Counter(listed).items() if count > 1))
    hashed = {name for name in files if not _is_unhashed(name)}
    yield from _some("is not in RECORD", sorted(hashed - set(listed)))
    yield from _some("is in RECORD, but not in the wheel", sorted(set(listed) - set(files)))
    wrong = [row[0] for row in rows if row[0] in hashed and not _holds(archive, row, files[row[0]])]
    yield from _some("is not what RECORD says: it has another hash or size, or none is given", sorted(wrong))


def _is_unhashed(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return folder.endswith(".dist-info") and "/" not in folder and file in UNHASHED


def _holds(archive: WheelFile, row: Sequence[str], actual: Hashed) -> bool:
    if len(row) != 3 or row[2] != str(actual.size):
        return False
    algorithm, _, value = row[1].partition("=")
    if algorithm in WEAK or algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        return False
    digest = actual.sha256 if algorithm == "sha256" else archive.digest(row[0], algorithm)
    return value == base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _some(what: str, names: Sequence[str]) -> Iterator[Finding]:
    if names:
        others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield _finding(f"{names[0]}{others} {what}")


def _finding(message: str) -> Finding:
    detail = "the file was changed after the build backend or auditwheel had written the wheel: build it again"
    return Finding(kind="record", library="", message=message, detail=detail)
