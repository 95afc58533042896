"""What our wheels need, as it was resolved last: a wheel is resolved again only where the answer may not hold any more.

A release that comes to the index takes no solution away. So an answer holds as long as the index has, of every version
in it, the files that it had, each as much yanked and listed as it was. That finds a yank, a retention, a build of ours
beside the file of another project, and a ledger that was merged or restored. The answers are in one hidden file of the
ledger's folder, which may be lost: everything is resolved again then.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from factory.model.target import Target
from factory.publish.ledger import Built, Release
from factory.publish.resolver import UV_PLATFORM, Pin
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import DAMAGED, decode, encode
from factory.util.wheel_tags import serves

RESOLVED_FILE = ".resolved.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Root:
    """A version of ours, and a Python (`3.13`) that it was checked on: what is resolved at once."""

    project: str
    version: str
    python: str

    @property
    def requirement(self) -> str:
        """The version alone, as a requirement."""
        return f"{self.project}=={self.version}"

    def __str__(self) -> str:
        return f"{self.requirement} on {self.python}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The versions that a root needs on `python`, itself among them (`name==version`).

    `has` is the sha256 of what the index has of them.
    """

    python: str
    needs: tuple[str, ...]
    has: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The file: for which target its answers are, and the answers by their roots."""

    made_for: str
    answers: dict[str, Answer]


class Shelf:
    """What an index has of each version."""

    def __init__(self, releases: Iterable[Release]) -> None:
        self._files: dict[str, list[Release]] = defaultdict(list)
        for release in releases:
            self._files[f"{release.project}=={release.version}"].append(release)
        self._states: dict[tuple[str, str], str] = {}

    def state(self, needs: Iterable[str], python: str) -> str:
        """The sha256 of the files of these versions that `python` takes; empty where a version has none."""
        states = [self._state(need, python) for need in needs]
        return hashlib.sha256("\n".join(states).encode()).hexdigest() if all(states) else ""

    def meets(self, answer: Answer | None) -> bool:
        """Whether everything is as it was when this was the answer."""
        return answer is not None and answer.has != "" and answer.has == self.state(answer.needs, answer.python)

    def _state(self, need: str, python: str) -> str:
        if (need, python) not in self._states:
            files = (each for each in self._files.get(need, ()) if serves(each.filename, python))
            lines = sorted(f"{each.sha256} {each.yanked is not None} {each.listed}" for each in files)
            self._states[need, python] = "\n".join(lines)
        return self._states[need, python]


def roots_of(releases: Iterable[Release]) -> list[Root]:
    """What is resolved of `releases`, in order: what we built, where it is listed."""
    return sorted(
        {
            Root(project=release.project, version=release.version, python=python)
            for release in releases
            if isinstance(release.origin, Built) and release.listed
            for python in release.origin.pythons
        }
    )


class Resolved:
    """The answers beside a ledger. Whoever writes them holds the ledger's lock."""

    def __init__(self, ledger: Path, target: Target) -> None:
        self._path = ledger / RESOLVED_FILE
        self._made_for = f"{FORMAT} {UV_PLATFORM} {target.platform_ceiling}"
        self._answers = self._read()

    def stale(self, roots: Iterable[Root], releases: Iterable[Release]) -> list[Root]:
        """Those of `roots` that an index of `releases` may not have everything for."""
        shelf = Shelf(releases)
        return [root for root in roots if not shelf.meets(self._answers.get(str(root)))]

    def keep(self, found: Mapping[Root, Sequence[Pin]], releases: Iterable[Release]) -> None:
        """Write what was found out besides, now that the index has `releases`; what holds no more is dropped."""
        shelf = Shelf(releases)
        for root, pins in found.items():
            needs = tuple(sorted(f"{pin.project}=={Version(pin.version)}" for pin in pins))
            self._answers[str(root)] = Answer(python=root.python, needs=needs, has=shelf.state(needs, root.python))
        kept = {root: answer for root, answer in self._answers.items() if shelf.meets(answer)}
        write_if_changed(self._path, encode(_Kept(made_for=self._made_for, answers=kept)))

    def _read(self) -> dict[str, Answer]:
        try:
            kept = decode(self._path.read_bytes(), _Kept)
        except (OSError, *DAMAGED):
            return {}
        return kept.answers if kept.made_for == self._made_for else {}
