"""History of the ledger in its git repository.

It shows entries whose hash changed, and removed entries.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.publish.release import Release
from factory.util.git import git

# Commits on all sides of merges; a merge is compared with each of its parents, since it may itself change entries.
ALL_COMMITS = ("log", "--full-history", "-m", "--no-renames")


def has_history(ledger: Path) -> bool:
    """Report whether the ledger's folder was ever committed to a git repository.

    Raises:
        PrerequisiteMissing: it was, but the clone lacks the older commits.
    """
    try:
        commit = git(ledger, "log", "-1", "--format=%H", "--", ".")
    except (CommandFailed, PrerequisiteMissing, OSError):
        return False
    if not commit:
        return False
    if git(ledger, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise PrerequisiteMissing(
            f"{ledger}: cannot read the ledger's history: its repository is a shallow clone without the older commits",
            hint="fetch the whole history: git fetch --unshallow",
        )
    return True


def find_uncommitted(ledger: Path, releases: Sequence[Release]) -> tuple[str, ...]:
    """Return the file names of releases whose entries are not committed yet.

    Their loss would go unnoticed.
    """
    committed = set(git(ledger, "ls-tree", "-r", "--name-only", "HEAD", "--", ".").splitlines())
    return tuple(each.filename for each in releases if f"{each.project}/{each.filename}.json" not in committed)


def find_violations(ledger: Path, releases: Sequence[Release]) -> tuple[str, ...]:
    """Return a line for each entry of any commit that was removed, or whose hash changed."""
    current = {f"{release.project}/{release.filename}.json": release.sha256 for release in releases}
    return tuple(line for entry in sorted(_touched(ledger)) for line in _broken(ledger, entry, current.get(entry)))


def _broken(ledger: Path, entry: str, current: str | None) -> list[str]:
    if current is None:
        return [f"{_name(entry)}: published, but no longer in the ledger"]
    return [
        f"{_name(entry)}: published with sha256 {published}, the ledger now has {current}"
        for published in _published_sha256s(ledger, entry)
        if published != current
    ]


def _touched(ledger: Path) -> set[str]:
    """Return entries that a commit or the working tree changed or removed."""
    only = ("--relative", "--name-only", "--diff-filter=DM")
    committed = git(ledger, *ALL_COMMITS, "--format=", *only, "--", ".")
    pending = git(ledger, "diff", "--no-renames", *only, "HEAD", "--", ".")
    names = {line for line in (*committed.splitlines(), *pending.splitlines()) if line.endswith(".json")}
    return {name for name in names if len(Path(name).parts) == 2}


def _published_sha256s(ledger: Path, entry: str) -> list[str]:
    """Return the hashes that an entry was added with.

    Commits on several branches may add it, or a merge alone.
    """
    added = ("--format=%H", "--diff-filter=A", "--", entry)
    commits = git(ledger, *ALL_COMMITS, "--no-merges", *added) or git(ledger, *ALL_COMMITS, *added)
    return sorted({_sha256_at(ledger, commit, entry) for commit in commits.split()})


def _sha256_at(ledger: Path, commit: str, entry: str) -> str:
    try:
        return str(json.loads(git(ledger, "show", f"{commit}:./{entry}"))["sha256"])
    except (ValueError, KeyError, TypeError):
        return "(unreadable)"


def _name(entry: str) -> str:
    return Path(entry).name.removesuffix(".json")
