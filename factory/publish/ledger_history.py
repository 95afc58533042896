"""The ledger's past, out of the git repository that it is kept in: entries that changed their hash, or are gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing
from factory.publish.ledger import Release
from factory.util.process import run

# Every commit counts, on whichever side of a merge it is; a merge is compared with each of its parents, since it may
# change what no other commit does.
ALL_COMMITS = ("log", "--full-history", "-m", "--no-renames")


def is_kept(ledger: Path) -> bool:
    """Whether a git repository has ever had this folder in a commit, so that its past can be known.

    Raises:
        PrerequisiteMissing: it does, but in a clone without the older commits.
    """
    try:
        commit = _git(ledger, "log", "-1", "--format=%H", "--", ".")
    except (CommandFailed, PrerequisiteMissing, OSError):
        return False
    if not commit:
        return False
    if _git(ledger, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise PrerequisiteMissing(
            f"what was ever in {ledger} can't be known: its repository is a shallow clone, without the older commits",
            hint="fetch the whole history: git fetch --unshallow",
        )
    return True


def uncommitted(ledger: Path, releases: Sequence[Release]) -> tuple[str, ...]:
    """The file names of releases whose entries are in no commit yet: nobody would miss them."""
    committed = set(_git(ledger, "ls-tree", "-r", "--name-only", "HEAD", "--", ".").splitlines())
    return tuple(each.filename for each in releases if f"{each.project}/{each.filename}.json" not in committed)


def broken_promises(ledger: Path, releases: Sequence[Release]) -> tuple[str, ...]:
    """What was in the ledger at any commit and isn't there any more, or has another hash now; one line each."""
    current = {f"{release.project}/{release.filename}.json": release.sha256 for release in releases}
    return tuple(line for entry in sorted(_touched(ledger)) for line in _broken(ledger, entry, current.get(entry)))


def _broken(ledger: Path, entry: str, current: str | None) -> list[str]:
    if current is None:
        return [f"{_name(entry)}: it was published, and is not in the ledger any more"]
    return [
        f"{_name(entry)}: published with sha256 {published}, the ledger says {current} now"
        for published in _published_sha256s(ledger, entry)
        if published != current
    ]


def _touched(ledger: Path) -> set[str]:
    """The entries that any commit, or the working tree, changed or removed after they had been added."""
    only = ("--relative", "--name-only", "--diff-filter=DM")
    committed = _git(ledger, *ALL_COMMITS, "--format=", *only, "--", ".")
    uncommitted = _git(ledger, "diff", "--no-renames", *only, "HEAD", "--", ".")
    names = {line for line in (*committed.splitlines(), *uncommitted.splitlines()) if line.endswith(".json")}
    return {name for name in names if len(Path(name).parts) == 2}


def _published_sha256s(ledger: Path, entry: str) -> list[str]:
    """With which hashes the entry was added: by a commit, by one on each of several branches, or by a merge alone."""
    added = ("--format=%H", "--diff-filter=A", "--", entry)
    commits = _git(ledger, *ALL_COMMITS, "--no-merges", *added) or _git(ledger, *ALL_COMMITS, *added)
    return sorted({_sha256_at(ledger, commit, entry) for commit in commits.split()})


def _sha256_at(ledger: Path, commit: str, entry: str) -> str:
    try:
        return str(json.loads(_git(ledger, "show", f"{commit}:./{entry}"))["sha256"])
    except (ValueError, KeyError, TypeError):
        return "that can't be read"


def _name(entry: str) -> str:
    return Path(entry).name.removesuffix(".json")


def _git(ledger: Path, *arguments: str) -> str:
    # Publishing runs as root, and the repository is its user's.
    return run(["git", "-c", "safe.directory=*", "-C", str(ledger), *arguments], what="git")
