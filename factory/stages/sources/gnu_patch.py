"""The program `patch`, without fuzz."""

from __future__ import annotations

import os
from pathlib import Path

from factory.util.log import LogSink
from factory.util.process import run

# Nothing is guessed, no patch is reversed, and no copies of what was there are kept.
EXACTLY = ("--strip=1", "--fuzz=0", "--forward", "--batch", "--no-backup-if-mismatch")


def run_patch(patch: Path, folder: Path, rejected: str, log: LogSink, *, dry: bool = False) -> None:
    """Apply a patch in `folder`; failed hunks go to the file `rejected` (`-`: none).

    A `dry` run changes no file.

    Raises:
        CommandFailed: a hunk doesn't fit; the folder is then half patched.
        PrerequisiteMissing: the program is not installed.
    """
    files = [f"--directory={folder}", f"--input={patch.absolute()}", f"--reject-file={rejected}"]
    run(
        ["patch", *EXACTLY, *(["--dry-run"] if dry else []), *files],
        log=log,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
