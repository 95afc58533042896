"""The mirror: copies of other projects' files that our wheels need at run time, for checks and to find what they need.

uv decides which they are (factory.publish.resolver), pip fetches them with the host's configuration and verifies their
hashes. A project that we build ourselves is never taken from elsewhere.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from factory.errors import CommandFailed, PrerequisiteMissing, PublishError
from factory.model.target import PYTHONS, Target
from factory.publish.ledger import Built, Mirrored, Release, parse_filename
from factory.publish.resolver import Pin, Unresolvable, closed_environment, open_environment, resolve
from factory.publish.simple_api import write_html
from factory.publish.wheel_metadata import describe_wheel
from factory.util.log import LogSink
from factory.util.process import run
from factory.util.wheel_tags import serves

LOWEST_GLIBC_MINOR = 27  # glibc 2.27 is the first that runs on riscv64


# To the mirror only whose a wheel is counts: ours is never taken from elsewhere.
OURS = Built(record="", profiles=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What a wheel needs, itself among it: every version, and those of their files that are copies here."""

    pins: tuple[Pin, ...]
    files: tuple[Path, ...]


def mirror_dependencies(
    wheels: Sequence[Path], others: Sequence[Path], *, target: Target, cache: Path, log: LogSink
) -> tuple[Path, ...]:
    """Fetch what `wheels` need at run time on the target (without extras) and that neither they nor `others` are.

    `others` are ours too, but need not be of use on the target: those for another Python, for example. Returns the
    mirrored files of all wheels, ordered by name; see `opened_mirror` for the folder `cache` and for what is raised.
    """
    ours = [here(describe_wheel(path, OURS), path) for path in (*wheels, *others)]
    roots = sorted({f"{release.project}=={release.version}" for release in ours[: len(wheels)]})
    with opened_mirror(ours, target=target, cache=cache, log=log) as mirror:
        return tuple(sorted({path for root in roots for path in mirror.needed_by(root, target.python).files}))


def here(release: Release, path: Path) -> Release:
    """The release as a link to its file on this machine; its METADATA is read from the wheel."""
    return structs.replace(release, url=path.absolute().as_uri(), metadata_sha256=None)


@contextmanager
def opened_mirror(releases: Sequence[Release], *, target: Target, cache: Path, log: LogSink) -> Iterator[Mirror]:
    """The mirror in the folder `cache`, for wheels of ours among `releases`: links to everything that installers have.

    Files stay in the folder and serve as long as they, with `releases`, meet every requirement. No index is asked until
    they don't, so the same wheels get the same mirror. A yanked release, or one that is not listed, is to the mirror
    what it is to installers.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".resolve-", dir=cache) as scratch:
        yield Mirror(releases, target=target, cache=cache, scratch=Path(scratch), log=log)


def fetch_again(releases: Iterable[Release], *, target: Target, cache: Path, log: LogSink) -> None:
    """Fetch exactly these published files into `cache`, each for the first Python that takes it.

    Raises:
        PublishError: one is no longer to be had with the published hash.
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
    """Copies of other projects' files; each is read and described once, however many wheels are asked about."""

    def __init__(
        self, releases: Sequence[Release], *, target: Target, cache: Path, scratch: Path, log: LogSink
    ) -> None:
        self._releases = tuple(releases)
        self._target, self._cache, self._scratch, self._log = target, cache, scratch, log
        self._ours = {release.project for release in releases if isinstance(release.origin, Built)}
        self._copies: dict[Path, Release] = {}
        self._look_at_copies()

    def needed_by(self, root: str, python: str) -> Needed:
        """What `root` (`name==version`) needs on this Python (`3.13`), fetched where it is missing.

        Raises:
            Unresolvable: a dependency has no pure or riscv64 wheel; the message names it and who requires it.
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
        """Resolve as an installer will, that has our index and no other."""
        environment = closed_environment(self._scratch / "closed" / "simple")
        return resolve(root, python=python, environment=environment, log=self._log)

    def _fetch(self, root: str, python: str) -> None:
        write_html([each for each in self._releases if isinstance(each.origin, Built)], self._scratch / "ours")
        environment = open_environment(self._scratch / "ours" / "simple")
        pins = resolve(root, python=python, environment=environment, log=self._log)
        lines = [pin.requirement for pin in pins if pin.project not in self._ours]
        if lines:
            _download(lines, replace(self._target, python=python), self._cache, self._log)
            self._look_at_copies()

    def _look_at_copies(self) -> None:
        """Describe the copies that are new, and write the index that is resolved against."""
        for path in sorted(self._cache.glob("*.whl")):
            if path not in self._copies and parse_filename(path.name)[0] not in self._ours:
                self._copies[path] = describe_wheel(path, Mirrored())
        known = {release.filename for release in self._releases}
        more = [here(release, path) for path, release in self._copies.items() if release.filename not in known]
        write_html([*self._releases, *more], self._scratch / "closed")

    def _copies_among(self, pins: Sequence[Pin], python: str) -> tuple[Path, ...]:
        wanted = " ".join(pin.requirement for pin in pins)
        return tuple(
            path for path, release in self._copies.items() if release.sha256 in wanted and serves(path.name, python)
        )


def _download(lines: Sequence[str], target: Target, cache: Path, log: LogSink) -> None:
    """Let pip fetch pinned files into `cache`; a file that is there already keeps its bytes."""
    if importlib.util.find_spec("pip") is None:
        raise PrerequisiteMissing(f"{sys.executable} has no pip", hint=f"run: {sys.executable} -m ensurepip")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--requirement", str(wanted)]
        argv += ["--dest", folder, "--progress-bar=off", "--no-input", "--disable-pip-version-check"]
        argv += [*_target_options(target)]
        try:
            run(argv, log=log, what="pip download")
        except CommandFailed as error:
            raise PublishError(
                f"the dependencies to mirror could not be fetched:\n{error.output}",
                hint="see whether the package index can be reached: pip config list",
            ) from error
        for path in Path(folder).glob("*.whl"):
            _keep(path, cache)


def _keep(path: Path, cache: Path) -> None:
    describe_wheel(path, Mirrored())  # refuses what is not a sound wheel before it can spoil the cache
    if not (cache / path.name).exists():
        path.rename(cache / path.name)


def _target_options(target: Target) -> list[str]:
    major, minor = target.glibc_floor
    tag = "cp" + target.python.replace(".", "")
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={target.python}"]
    options += [f"--abi={abi}" for abi in (tag, "abi3", "none")]
    platforms = [f"manylinux_{major}_{lower}_riscv64" for lower in range(minor, LOWEST_GLIBC_MINOR - 1, -1)]
    return options + [f"--platform={platform}" for platform in (*platforms, "linux_riscv64")]
