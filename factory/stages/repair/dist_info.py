"""Additions to a wheel's .dist-info: declaration, SBOM, licence files.

The other members keep their order, times and modes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.parser import HeaderParser
from io import StringIO

from factory.errors import RepairFailed
from factory.model.artifacts import RepairedWheel
from factory.util.atomic_files import sha256_of

RECORD = "/RECORD"
IS_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
METADATA = "METADATA"
LICENSES = "licenses/"
# The first version of METADATA with the field License-File (PEP 639).
LICENSE_FILES_SINCE = (2, 4)
_HEADERS_END = re.compile(rb"\r?\n\r?\n|\r?\n?\Z")


def add_files(wheel: RepairedWheel, files: Mapping[str, bytes]) -> RepairedWheel:
    """Add files to a wheel's .dist-info and its RECORD; paths are relative to that folder.

    METADATA names those below `licenses/`, if its version has a field for them.

    Raises:
        RepairFailed: the wheel has no RECORD, or a file of that name.
    """
    if not files:
        return wheel
    written = wheel.path.with_name(f"{wheel.path.name}.partial")
    with zipfile.ZipFile(wheel.path) as old, zipfile.ZipFile(written, "w") as new:
        members = old.infolist()
        record = _record(members, wheel.path.name)
        folder = record.filename.removesuffix(RECORD)
        added = {f"{folder}/{name}": content for name, content in files.items()}
        _refuse_present(wheel.path.name, members, added)
        changed = _with_license_files(old, f"{folder}/{METADATA}", files)
        for member in members:
            if member.filename in changed:
                new.writestr(_like(member, member.filename), changed[member.filename])
            elif member is not record:
                _copy(old, member, new)
        for path, content in added.items():
            new.writestr(_like(record, path), content)
        new.writestr(_like(record, record.filename), _with_lines(old.read(record), {**changed, **added}))
    written.replace(wheel.path)
    return replace(wheel, sha256=sha256_of(wheel.path))


def folder_of(wheel: RepairedWheel) -> str:
    """Return the name of a wheel's .dist-info folder.

    Raises:
        RepairFailed: the wheel has no RECORD, or more than one.
    """
    with zipfile.ZipFile(wheel.path) as archive:
        return _record(archive.infolist(), wheel.path.name).filename.removesuffix(RECORD)


def read_dist_info(wheel: RepairedWheel, folder: str) -> dict[str, bytes]:
    """Return the files in a folder of a wheel's .dist-info, by their paths in that."""
    inside = re.compile(rf"[^/]+\.dist-info/({re.escape(folder)}.*[^/])")
    with zipfile.ZipFile(wheel.path) as archive:
        found = ((inside.fullmatch(name), name) for name in archive.namelist())
        return {match[1]: archive.read(name) for match, name in found if match}


def _record(members: Sequence[zipfile.ZipInfo], wheel: str) -> zipfile.ZipInfo:
    found = [
        each for each in members if each.filename.count("/") == 1 and each.filename.endswith(f".dist-info{RECORD}")
    ]
    if len(found) != 1:
        raise RepairFailed(f"{wheel}: no .dist-info/RECORD, or more than one")
    return found[0]


def _refuse_present(wheel: str, members: Sequence[zipfile.ZipInfo], added: Mapping[str, bytes]) -> None:
    present = sorted({member.filename for member in members}.intersection(added))
    if present:
        raise RepairFailed(
            f"{wheel}: it has a {present[0].partition('/')[2]} already",
            hint="patch the source: only the factory writes this file",
        )


def _with_license_files(archive: zipfile.ZipFile, path: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return a METADATA with the added licence files; nothing without the field."""
    names = [name.removeprefix(LICENSES) for name in files if name.startswith(LICENSES)]
    if not names or path not in archive.namelist():
        return {}
    content = archive.read(path)
    if _metadata_version(content) < LICENSE_FILES_SINCE:
        return {}
    end = _HEADERS_END.search(content)
    place = len(content) if end is None else end.start()
    lines = "".join(f"\nLicense-File: {name}" for name in names)
    return {path: content[:place] + lines.encode() + (content[place:] or b"\n")}


def _metadata_version(content: bytes) -> tuple[int, ...]:
    stated = HeaderParser().parsestr(content.decode("utf-8", errors="replace"))["Metadata-Version"]
    numbers = str(stated).split(".")
    return tuple(map(int, numbers)) if all(each.isdecimal() for each in numbers) else ()


def _copy(old: zipfile.ZipFile, member: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    info = _like(member, member.filename)
    info.file_size = member.file_size  # more than 2 GB need other headers
    with old.open(member) as source, new.open(info, "w") as to:
        shutil.copyfileobj(source, to, 1 << 20)


def _like(member: zipfile.ZipInfo, path: str) -> zipfile.ZipInfo:
    """Make a member with the time, mode and compression of another one."""
    info = zipfile.ZipInfo(path, member.date_time)
    info.external_attr = member.external_attr
    info.create_system = member.create_system
    info.compress_type = member.compress_type
    return info


def _with_lines(record: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return a RECORD with lines for files before its own line, which is the last."""
    rows = [row for row in csv.reader(StringIO(record.decode("utf-8"))) if row]
    own = [row for row in rows if IS_RECORD.fullmatch(row[0])]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(row for row in rows if row not in own and row[0] not in files)
    writer.writerows((path, f"sha256={_digest(content)}", len(content)) for path, content in files.items())
    writer.writerows(own)
    return text.getvalue().encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
