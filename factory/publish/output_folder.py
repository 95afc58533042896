"""Output folder of an index: only a folder of ours is written."""

from __future__ import annotations

import shlex
from pathlib import Path

from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.util.atomic_files import write_file

# State of the pages. Its presence marks a folder as an index of ours.
STATE_FILE = ".pages.json"
# Pages that an index of ours has: hidden files are lost where an index is uploaded and fetched.
PAGES = ("simple/index.html", "boards/index.html")
NO_STATE = b"{}\n"


def claim(output: Path, ledger: Ledger) -> None:
    """Mark a folder as an index of ours.

    It is new, empty, an index already, or holds only files of the ledger.

    Raises:
        PublishError: it has other files.
    """
    if (output / STATE_FILE).is_file() or all((output / page).is_file() for page in PAGES):
        return
    foreign = _foreign(output, ledger)
    if foreign:
        raise PublishError(
            f"{output}: not an index, and not empty: it has {foreign}",
            hint="name an index or an empty folder: --output DIR; to have all other pages in this one removed: touch "
            + shlex.quote(str(output / STATE_FILE)),
        )
    write_file(output / STATE_FILE, NO_STATE)


def _foreign(output: Path, ledger: Ledger) -> str:
    """Return the name of a file that no index has written; "" if there is none."""
    names = {path.name for path in output.iterdir()} if output.is_dir() else set()
    kept = ledger.folder.resolve()
    others = sorted(name for name in names if name != "files" and (output / name).resolve() != kept)
    if others or "files" not in names:
        return next(iter(others), "")
    known = {release.filename for release in ledger.read()}
    unknown = sorted(path.name for path in (output / "files").iterdir() if _wheel_of(path.name) not in known)
    return f"files/{unknown[0]}" if unknown else ""


def _wheel_of(name: str) -> str:
    """Return the wheel that a sidecar or a temporary file belongs to."""
    return f"{name.removeprefix('.').partition('.whl')[0]}.whl"
