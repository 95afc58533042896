"""The mirror: copies of other projects' files that wheels built here need at run time.

uv resolves them (factory.publish.resolver); pip fetches them with the host's configuration and verifies their hashes.
Projects that are built here are never taken from another index.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from factory.errors import CommandFailed, PrerequisiteMissing, PublishError
from factory.model.target import PYTHONS, Target
from factory.publish.release import Built, Mirrored, Release
from factory.publish.resolver import Pin, Unresolvable, closed_environment, open_environment, resolve
from factory.publish.simple_api import write_html
from factory.publish.wheel_filename import parse_filename
from factory.publish.wheel_metadata import describe_wheel
from factory.util.hang_limits import HangLimits, hang_limits
from factory.util.log import LogSink
from factory.util.process import run
from factory.util.wheel_tags import riscv64_platforms, serves

# pip prints little while it downloads.
DOWNLOAD_LIMITS = HangLimits(silent=3600)
# The origin of wheels built here, whose records and profiles don't matter to the mirror.
OURS = Built(record="", profiles=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Dependencies of a wheel, including itself.

    `pins` are versions, and `files` those of their files that the mirror holds.
    """

    pins: tuple[Pin, ...]
    files: tuple[Path, ...]


def mirror_dependencies(
    wheels: Sequence[Path], others: Sequence[Path], *, target: Target, cache: Path, log: LogSink
) -> tuple[Path, ...]:
    """Fetch run-time dependencies (no extras) of `wheels` that aren't built here.

    `others` are built here too, but need not fit the target: those for another Python, for example. Returns the
    mirrored files of all wheels, ordered by name; see `open_mirror` for the folder `cache`, and
    `Mirror.fetch_needed` for errors raised.
    """
    ours = [link_to_file(describe_wheel(path, OURS), path) for path in (*wheels, *others)]
    roots = sorted({f"{release.project}=={release.version}" for release in ours[: len(wheels)]})
    with open_mirror(ours, target=target, cache=cache, log=log) as mirror:
        return tuple(sorted({path for root in roots for path in mirror.fetch_needed(root, target.python).files}))


def link_to_file(release: Release, path: Path) -> Release:
    """Return the release as a link to a file of this machine.

    Installers read METADATA from the wheel.
    """
    return structs.replace(release, url=path.absolute().as_uri(), metadata_sha256=None)


@contextmanager
def open_mirror(releases: Sequence[Release], *, target: Target, cache: Path, log: LogSink) -> Iterator[Mirror]:
    """Open the mirror in `cache` for the wheels built here among `releases` (links).

    Files stay in the folder, and no index is asked as long as they and `releases` meet every requirement: the same
    wheels get the same mirror. Yanked and unlisted releases are treated as installers treat them.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".resolve-", dir=cache) as scratch:
        yield Mirror(releases, target=target, cache=cache, scratch=Path(scratch), log=log)


def refetch(releases: Iterable[Release], *, target: Target, cache: Path, log: LogSink) -> None:
    """Fetch exactly these published files into `cache`, by their hashes.

    Raises:
        PublishError: one is no longer available with the published hash.
    """
    lines: dict[str, list[str]] = {}
    for release in releases:
        python = next((python for python in PYTHONS if serves(release.filename, python)), target.python)
        line = f"{release.project}=={release.version} --hash=sha256:{release.sha256}"
        lines.setdefault(python, []).append(line)
    cache.mkdir(parents=True, exist_ok=True)
    for python, wanted in lines.items():
        _download(wanted, replace(target, python=python), cache, log)


class Mirror:
    """Copies of other projects' files; each is read once, however many wheels are resolved."""

    def __init__(
        self, releases: Sequence[Release], *, target: Target, cache: Path, scratch: Path, log: LogSink
    ) -> None:
        self._releases = tuple(releases)
        self._target, self._cache, self._scratch, self._log = target, cache, scratch, log
        self._ours = {release.project for release in releases if isinstance(release.origin, Built)}
        self._copies: dict[Path, Release] = {}
        self._index_copies()

    def fetch_needed(self, root: str, python: str) -> Needed:
        """Resolve `root` (`name==version`) on this Python (`3.13`), and fetch missing files.

        Raises:
            Unresolvable: a dependency has no pure or riscv64 wheel; the message names it and what requires it.
            PublishError: the package index can't be reached.
            PrerequisiteMissing: this Python has no pip.
        """
        try:
            pins = self._resolve_closed(root, python)
        except Unresolvable:
            self._fetch(root, python)
            pins = self._resolve_closed(root, python)
        return Needed(pins=pins, files=self._copies_among(pins, python))

    def _resolve_closed(self, root: str, python: str) -> tuple[Pin, ...]:
        """Resolve as an installer does that uses this index alone."""
        environment = closed_environment((self._scratch / "closed" / "simple").absolute().as_uri())
        return resolve(root, python=python, environment=environment, log=self._log)

    def _fetch(self, root: str, python: str) -> None:
        write_html([each for each in self._releases if isinstance(each.origin, Built)], self._scratch / "ours")
        environment = open_environment(self._scratch / "ours" / "simple")
        pins = resolve(root, python=python, environment=environment, log=self._log)
        lines = [pin.requirement for pin in pins if pin.project not in self._ours]
        if lines:
            _download(lines, replace(self._target, python=python), self._cache, self._log)
            self._index_copies()

    def _index_copies(self) -> None:
        """Describe new copies, and write the index that `_resolve_closed` uses."""
        for path in sorted(self._cache.glob("*.whl")):
            if path not in self._copies and parse_filename(path.name)[0] not in self._ours:
                self._copies[path] = describe_wheel(path, Mirrored())
        known = {release.filename for release in self._releases}
        more = [link_to_file(release, path) for path, release in self._copies.items() if release.filename not in known]
        write_html([*self._releases, *more], self._scratch / "closed")

    def _copies_among(self, pins: Sequence[Pin], python: str) -> tuple[Path, ...]:
        wanted = " ".join(pin.requirement for pin in pins)
        return tuple(
            path for path, release in self._copies.items() if release.sha256 in wanted and serves(path.name, python)
        )


def _download(lines: Sequence[str], target: Target, cache: Path, log: LogSink) -> None:
    """Fetch pinned files into `cache` with pip; existing files keep their bytes."""
    if importlib.util.find_spec("pip") is None:
        raise PrerequisiteMissing(f"{sys.executable}: pip is not installed", hint=f"run: {sys.executable} -m ensurepip")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--requirement", str(wanted)]
        argv += ["--dest", folder, "--progress-bar=off", "--no-input", "--disable-pip-version-check"]
        argv += [*_target_options(target)]
        try:
            with hang_limits("pip download", DOWNLOAD_LIMITS, log) as watched:
                run(argv, log=watched, what="pip download", env={**os.environ, "TMPDIR": folder})
        except CommandFailed as error:
            raise PublishError(
                f"pip download: cannot fetch dependencies to mirror:\n{error.output}",
                hint="check that the package index is reachable: pip config list",
            ) from error
        for path in Path(folder).glob("*.whl"):
            _keep(path, cache)


def _keep(path: Path, cache: Path) -> None:
    describe_wheel(path, Mirrored())  # raises for an invalid wheel before it enters the cache
    if not (cache / path.name).exists():
        path.rename(cache / path.name)


def _target_options(target: Target) -> list[str]:
    tag = "cp" + target.python.replace(".", "")
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={target.python}"]
    options += [f"--abi={abi}" for abi in (tag, "abi3", "none")]
    platforms = (*riscv64_platforms(target.glibc_floor), "linux_riscv64")
    return options + [f"--platform={platform}" for platform in platforms]
