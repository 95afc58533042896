"""git, for repositories of other users too.

Commands that run as root read the user's checkout.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from factory.util.process import run


def git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git in a folder, with these variables or those of this process; return its output.

    Raises:
        CommandFailed: git failed.
        PrerequisiteMissing: it is not installed.
    """
    return run(["git", "-c", "safe.directory=*", "-C", str(folder), *arguments], what="git", env=env)
