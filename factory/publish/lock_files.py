"""Lock files (PEP 751) of published projects.

They name every file that an installation takes, with its hash. They are kept in the ledger, one for each Python, and
the site offers them.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.pylock import Pylock, PylockValidationError
from packaging.version import Version

from factory.errors import PublishError
from factory.util.atomic_files import write_if_changed
from factory.util.full_disk import FULL

LOCKS = "locks"
# The address of a file whose version has a local part.
QUOTED = re.compile(r'\{ (url = "[^"]*/([^"/]*%2[Bb][^"/]*)")')
# Files with other names are not published: temporary ones, say.
NAME = re.compile(r"pylock\.([a-z0-9-]+)-cp(\d)(\d+)\.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """A lock file's text, its Python (`3.14`), and the project's version."""

    text: str
    python: str
    version: Version


def lock_name(project: str, python: str) -> str:
    """Return the name of a project's lock file for a Python (`3.14`), as PEP 751 has it."""
    return f"pylock.{project}-cp{python.replace('.', '')}.toml"


def write_lock(ledger: Path, project: str, python: str, text: str) -> bool:
    """Keep a project's lock file in the ledger; return whether it changed.

    Raises:
        PublishError: as `write_lock_file`.
    """
    return write_lock_file(ledger / project / LOCKS / lock_name(project, python), text)


def write_lock_file(path: Path, text: str) -> bool:
    """Write a lock file; return whether it changed.

    Raises:
        PublishError: there is a folder at `path`, or its folder can't be made.
    """
    try:
        return write_if_changed(path, text.encode())
    except PermissionError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise
        raise PublishError(
            f"{path}: cannot write the lock file: {error.strerror}", hint="remove what is there, or name another file"
        ) from error


def parse_lock(text: str) -> Pylock:
    """Parse a lock file.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return Pylock.from_dict(tomllib.loads(text))
    except (PylockValidationError, RecursionError) as error:
        raise ValueError(str(error)) from error


def refuse_local_files(text: str) -> None:
    """Refuse a lock file for other machines that names files of this one.

    Raises:
        PublishError: it names one.
    """
    for package in parse_lock(text).packages:
        for wheel in package.wheels or ():
            if not re.match("(?i)https?://", found := wheel.url or wheel.path or ""):
                raise PublishError(
                    f"{package.name}: cannot lock a file of this machine: {found}",
                    hint="give the file an http address in the index",
                )


def name_files(text: str) -> str:
    """Return uv's lock file with the names of files that their addresses quote.

    Such an address ends in `torch-2.14.1%2Bdebian-...`. uv leaves names out, and pip before 26.3 takes those of
    addresses as they are, which it refuses.
    """
    return QUOTED.sub(lambda match: f'{{ name = "{unquote(match[2])}", {match[1]}', text)


def read_locks(ledger: Path, project: str) -> Mapping[str, LockFile]:
    """Read a project's lock files, by file name.

    Raises:
        PublishError: one is damaged; the message names it.
    """
    folder = ledger / project / LOCKS
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - most projects have none, and a Path costs more
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise _damaged(folder, "it is not a folder") from error
    matches = ((name, NAME.fullmatch(name)) for name in names)
    return {
        name: _read(folder / name, project, f"{match[2]}.{match[3]}")
        for name, match in matches
        if match is not None and match[1] == project
    }


def _read(path: Path, project: str, python: str) -> LockFile:
    try:
        if not path.is_file():  # reading a pipe would never end
            raise ValueError("it is not a file")
        text = path.read_bytes().decode()
        version = next((each.version for each in parse_lock(text).packages if each.name == project), None)
        if version is None:
            raise ValueError(f"it has no version of {project}")
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    return LockFile(text=text, python=python, version=version)


def _damaged(path: Path, cause: str) -> PublishError:
    return PublishError(
        f"{path}: lock file is damaged: {cause}",
        hint="remove it, or restore it from git; factory index writes a new one where site.toml has it in locks",
    )
