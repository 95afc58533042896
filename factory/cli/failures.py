"""Failures of commands: text on standard error, JSON on standard output."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

from factory.cli.annotations import annotate
from factory.cli.printable import printable
from factory.errors import FactoryError, StoreError
from factory.util.full_disk import FULL, describe_full_disk

FREE_SPACE = "free disk space, or set FACTORY_CACHE to another folder; finished work is kept"
OTHER_DISK = "name a path that can be written, of the cache with FACTORY_CACHE; finished work is kept"
PERMIT = "permit it to this user, or name another path, of the cache with FACTORY_CACHE; finished work is kept"
CORRECT = "correct this path, in an option, a recipe or FACTORY_CACHE"
# Shows where an error of the operating system was raised.
TRACEBACK = "FACTORY_TRACEBACK"
REPORT = f"this may be a bug: set {TRACEBACK}=1 to see where it happens, and report it"
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)


def report(error: FactoryError, *, as_json: bool) -> int:
    """Print an error with its notes; returns its exit status."""
    notes = "\n".join(getattr(error, "__notes__", ()))
    print(printable(f"factory: {error}\n{notes}".rstrip()), file=sys.stderr)
    annotate(error.message)
    if as_json:
        print_json(error)
    return error.exit_code


def print_json(error: FactoryError) -> None:
    """Print an error as JSON, if its reader is still there."""
    try:
        print(json.dumps(as_object(error), indent=1), flush=True)
    except OSError:
        discard_output()


def discard_output() -> None:
    """Let nothing more fail to be printed, as Python does at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_object(error: FactoryError) -> dict[str, str]:
    """Return an error for JSON; what it lacks is empty."""
    values = {"error": error.message, "hint": error.hint or "", "stage": error.stage, "log": error.log}
    return {key: printable(value) for key, value in values.items()}


def explain(error: OSError) -> FactoryError:
    """Return the error that people get for one of the operating system."""
    name = error.filename2 or error.filename
    if error.errno in FULL:
        what, hint = describe_full_disk(error), FREE_SPACE
    elif name is None or error.strerror is None:
        what, hint = f"{type(error).__name__}: {error}", REPORT
    elif error.errno in FORBIDDEN:
        hint = OTHER_DISK if error.errno == errno.EROFS else PERMIT
        what = f"{os.fsdecode(name)}: cannot be read or written: {error.strerror}"
    elif error.errno in NO_FOLDER:
        what, hint = f"{_file_in(Path(os.fsdecode(name)))}: not a folder", CORRECT
    else:
        what, hint = f"{os.fsdecode(name)}: cannot be used: {error.strerror}", CORRECT
    return StoreError(what, hint=hint)


def _file_in(path: Path) -> Path:
    """Return the part of a path that is no folder."""
    return next((each for each in reversed((path, *path.parents)) if each.exists() and not each.is_dir()), path)
