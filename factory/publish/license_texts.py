"""Licence texts of a wheel in one file: its own and its libraries'."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

from factory.publish.safe_text import sanitize
from factory.publish.wheel_metadata import UNREADABLE
from factory.util.atomic_files import is_file, write_if_changed

SUFFIX = ".licenses.txt"
# Characters of all texts together: PyTorch's have 600 kB.
LIMIT = 4 << 20
_LICENSE = re.compile(r"[^/]+\.dist-info/(?:licenses/.*[^/]|(?:LICEN[CS]E|COPYING|NOTICE)[^/]*)", re.IGNORECASE)


def license_texts(wheel: Path) -> str:
    """Return a wheel's licence texts, each after its path; empty if unreadable."""
    parts, left = [], LIMIT
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(filter(_LICENSE.fullmatch, archive.namelist())):
                with archive.open(name) as file:
                    content = file.read(left)
                left -= len(content)
                parts.append(f"{name}\n{'=' * len(name)}\n\n{content.decode('utf-8', errors='replace').strip()}\n")
    except UNREADABLE:
        return ""
    return "\n".join(sanitize(part.replace("\r\n", "\n").replace("\f", "\n")) for part in parts)


def license_texts_path(files: Path, wheel: str) -> Path:
    """Return the path of the file beside a wheel."""
    return files / f"{wheel}{SUFFIX}"


def write_license_texts(wheel: Path, files: Path, known: str | None, *, force: bool = False) -> str | None:
    """Write the licence texts of a wheel into `files`; return their sha256, None without any.

    `known` is the sha256 of a file that was written before: a wheel's bytes never change.
    """
    target = license_texts_path(files, wheel.name)
    if known is not None and is_file(target) and not force:
        return known
    content = license_texts(wheel).encode()
    if not content:
        return None
    write_if_changed(target, content)
    return hashlib.sha256(content).hexdigest()
