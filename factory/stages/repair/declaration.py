"""Audit declaration: put the recipe's declarations into a wheel.

Only wheels of recipes with declarations change. The other members keep their order, times and modes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from factory.errors import RepairFailed
from factory.model.artifacts import RepairedWheel
from factory.model.audit_declaration import DECLARATION, encode_declaration
from factory.model.recipe import AuditOptions
from factory.util.atomic_files import sha256_of

RECORD = "/RECORD"
IS_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")


def add_declaration(wheel: RepairedWheel, options: AuditOptions) -> RepairedWheel:
    """Add the declaration file to a wheel and its RECORD, if there are declarations.

    Raises:
        RepairFailed: the wheel has no RECORD, or a declaration of its own.
    """
    content = encode_declaration(options)
    if not content:
        return wheel
    written = wheel.path.with_name(f"{wheel.path.name}.declared")
    with zipfile.ZipFile(wheel.path) as old, zipfile.ZipFile(written, "w") as new:
        members = old.infolist()
        record = _record(members, wheel.path.name)
        path = record.filename.removesuffix(RECORD) + f"/{DECLARATION}"
        if any(member.filename == path for member in members):
            raise RepairFailed(
                f"{wheel.path.name}: it has a {DECLARATION} already", hint="patch the source: only the recipe declares"
            )
        for member in members:
            if member is not record:
                _copy(old, member, new)
        new.writestr(_like(record, path), content)
        new.writestr(_like(record, record.filename), _with_line(old.read(record), path, content))
    written.replace(wheel.path)
    return replace(wheel, sha256=sha256_of(wheel.path))


def _record(members: Sequence[zipfile.ZipInfo], wheel: str) -> zipfile.ZipInfo:
    found = [
        each for each in members if each.filename.count("/") == 1 and each.filename.endswith(f".dist-info{RECORD}")
    ]
    if len(found) != 1:
        raise RepairFailed(f"{wheel}: no .dist-info/RECORD, or more than one")
    return found[0]


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


def _with_line(record: bytes, path: str, content: bytes) -> bytes:
    """Return a RECORD with a line for a file before its own line, which is the last."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
    rows = [row for row in csv.reader(StringIO(record.decode("utf-8"))) if row]
    own = [row for row in rows if IS_RECORD.fullmatch(row[0])]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(row for row in rows if row not in own)
    writer.writerow((path, f"sha256={digest}", len(content)))
    writer.writerows(own)
    return text.getvalue().encode()
