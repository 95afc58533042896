"""The ledger's past, out of the git repository that it is kept in: entries that changed their hash, or are gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.process import run
from factory.publish.ledger import Release


def is_kept(ledger: Path) -> bool:
    """Whether the folder belongs to a git repository that has a commit, so that its past can be known."""
    try:
        _git(ledger, "rev-parse", "--verify", "--quiet", "HEAD")
    except (CommandFailed, PrerequisiteMissing, OSError):
        return False
    return True


def broken_promises(ledger: Path, releases: Sequence[Release]) -> tuple[str, ...]:
    """What was in the ledger at any commit and isn't there any more, or has another hash now; one line each."""
    current = {f"{release.project}/{release.filename}.json": release.sha256 for release in releases}
    found = []
    for entry in sorted(_touched(ledger)):
        published = _first_sha256(ledger, entry)
        if entry not in current:
            found.append(f"{_name(entry)}: it was published, and is not in the ledger any more")
        elif published != current[entry]:
            found.append(f"{_name(entry)}: published with sha256 {published}, the ledger says {current[entry]} now")
    return tuple(found)


def _touched(ledger: Path) -> set[str]:
    """The entries that any commit, or the working tree, changed or removed after they had been added."""
    only = ("--relative", "--no-renames", "--name-only", "--diff-filter=DM")
    committed = _git(ledger, "log", "--format=", *only, "--", ".")
    uncommitted = _git(ledger, "diff", *only, "HEAD", "--", ".")
    names = {line for line in (*committed.splitlines(), *uncommitted.splitlines()) if line.endswith(".json")}
    return {name for name in names if len(Path(name).parts) == 2}


def _first_sha256(ledger: Path, entry: str) -> str:
    added = _git(ledger, "log", "--format=%H", "--no-renames", "--diff-filter=A", "--", entry).splitlines()
    try:
        return str(json.loads(_git(ledger, "show", f"{added[-1]}:./{entry}"))["sha256"])
    except (IndexError, ValueError, KeyError, TypeError):
        return "that can't be read"


def _name(entry: str) -> str:
    return Path(entry).name.removesuffix(".json")


def _git(ledger: Path, *arguments: str) -> str:
    # Publishing runs as root, and the repository is its user's.
    return run(["git", "-c", "safe.directory=*", "-C", str(ledger), *arguments], what="git")
