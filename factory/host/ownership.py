"""Ownership of files that a command writes as root through sudo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def owned_by_user(*folders: Path) -> Iterator[None]:
    """Run the body, then give the folders to the user, even after an error."""
    try:
        yield
    finally:
        restore_owner(*(folder for folder in folders if folder.exists()))


def restore_owner(*folders: Path) -> None:
    """Give files and folders, and their new parent folders, to the user who ran sudo."""
    if os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        return
    user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    for folder in folders:
        for path in reversed(folder.absolute().parents):
            if path.stat().st_uid == 0 and path.parent.stat().st_uid == user:
                os.chown(path, user, group)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, group, follow_symlinks=False)
