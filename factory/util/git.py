"""git, for repositories of other users too: commands that run as root read the user's checkout."""

from __future__ import annotations

from pathlib import Path

from factory.util.process import run


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output.

    Raises:
        CommandFailed: git failed.
        PrerequisiteMissing: it is not installed.
    """
    return run(["git", "-c", "safe.directory=*", "-C", str(folder), *arguments], what="git")
