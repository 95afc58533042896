"""Lock files (PEP 751) of published projects: every file that an installation takes, with its hash.

They are kept in the ledger, one for each Python, and the site offers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from factory.util.atomic_files import write_if_changed

LOCKS = "locks"


def lock_name(project: str, python: str) -> str:
    """Return the name of a project's lock file for a Python (`3.14`), as PEP 751 has it."""
    return f"pylock.{project}-cp{python.replace('.', '')}.toml"


def write_lock(ledger: Path, project: str, python: str, text: str) -> bool:
    """Keep a project's lock file in the ledger; return whether it changed."""
    return write_if_changed(ledger / project / LOCKS / lock_name(project, python), text.encode())


def read_locks(ledger: Path, project: str) -> Mapping[str, str]:
    """Read a project's lock files, by file name."""
    folder = ledger / project / LOCKS
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return {}
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.suffix == ".toml"}
