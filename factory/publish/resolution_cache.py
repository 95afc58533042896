"""Cached dependency resolutions of the wheels built here.

A new release invalidates no resolution. A resolution holds as long as the index has the same files of every version in
it, in the same state (yanked, listed). That detects a yank, a retention, a build beside the file of another project,
and a ledger that was merged or restored. The cache is a hidden file in the ledger's folder; if it is lost, everything
is resolved again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from factory.model.target import Target
from factory.publish.release import Built, Release
from factory.publish.resolver import UV_PLATFORM, Pin
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import DAMAGED, decode, encode
from factory.util.wheel_tags import serves

RESOLVED_FILE = ".resolved.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Root:
    """A version built here and a Python (`3.13`) that it was checked on.

    It is the unit of resolution.
    """

    project: str
    version: str
    python: str

    @property
    def requirement(self) -> str:
        """The version as a requirement."""
        return f"{self.project}=={self.version}"

    def __str__(self) -> str:
        return f"{self.requirement} on {self.python}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Versions that a root needs on `python`, including itself (`name==version`).

    `has` is the sha256 of the index's files of these versions and their state.
    """

    python: str
    needs: tuple[str, ...]
    has: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The cache file: the target that it was made for, and resolutions by root."""

    made_for: str
    answers: dict[str, Resolution]


class IndexState:
    """Files of an index by version, and their state."""

    def __init__(self, releases: Iterable[Release]) -> None:
        self._files: dict[str, list[Release]] = defaultdict(list)
        for release in releases:
            self._files[f"{release.project}=={release.version}"].append(release)
        self._states: dict[tuple[str, str], str] = {}

    def state(self, needs: Iterable[str], python: str) -> str:
        """Return the sha256 of these versions' files for `python`; empty if a version has none."""
        states = [self._state(need, python) for need in needs]
        return hashlib.sha256("\n".join(states).encode()).hexdigest() if all(states) else ""

    def supports(self, resolution: Resolution | None) -> bool:
        """Report whether all files of the resolution are in the same state as when it was made."""
        if resolution is None or not resolution.has:
            return False
        return resolution.has == self.state(resolution.needs, resolution.python)

    def _state(self, need: str, python: str) -> str:
        if (need, python) not in self._states:
            files = (each for each in self._files.get(need, ()) if serves(each.filename, python))
            lines = sorted(f"{each.sha256} {each.yanked is not None} {each.listed}" for each in files)
            self._states[need, python] = "\n".join(lines)
        return self._states[need, python]


def find_roots(releases: Iterable[Release]) -> list[Root]:
    """Return the roots to resolve, in order: listed wheels that were built here."""
    return sorted(
        {
            Root(project=release.project, version=release.version, python=python)
            for release in releases
            if isinstance(release.origin, Built) and release.listed
            for python in release.origin.pythons
        }
    )


class ResolutionCache:
    """Resolutions kept beside a ledger. Writers must hold the ledger's lock."""

    def __init__(self, ledger: Path, target: Target) -> None:
        self._path = ledger / RESOLVED_FILE
        self._made_for = f"{FORMAT} {UV_PLATFORM} {target.platform_ceiling}"
        self._resolutions = self._read()

    def find_stale(self, roots: Iterable[Root], releases: Iterable[Release]) -> list[Root]:
        """Return the `roots` whose dependencies an index of `releases` may lack."""
        index = IndexState(releases)
        return [root for root in roots if not index.supports(self._resolutions.get(str(root)))]

    def keep(self, found: Mapping[Root, Sequence[Pin]], releases: Iterable[Release]) -> None:
        """Add new resolutions for an index of `releases`, drop stale ones, and write the file."""
        index = IndexState(releases)
        for root, pins in found.items():
            needs = tuple(sorted(f"{pin.project}=={Version(pin.version)}" for pin in pins))
            self._resolutions[str(root)] = Resolution(
                python=root.python, needs=needs, has=index.state(needs, root.python)
            )
        kept = {root: each for root, each in self._resolutions.items() if index.supports(each)}
        write_if_changed(self._path, encode(_Kept(made_for=self._made_for, answers=kept)))

    def _read(self) -> dict[str, Resolution]:
        try:
            kept = decode(self._path.read_bytes(), _Kept)
        except (OSError, *DAMAGED):
            return {}
        return kept.answers if kept.made_for == self._made_for else {}
