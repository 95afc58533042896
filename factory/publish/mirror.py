"""The mirror: copies of other projects' files that our wheels need at run time, for checks and to find what they need.

uv decides which they are (factory.publish.resolver), pip fetches them with the host's configuration and verifies their
hashes. A project that we build ourselves is never taken from elsewhere.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory.errors import CommandFailed, PrerequisiteMissing, PublishError
from factory.model import PYTHONS, LogSink, Target
from factory.process import run
from factory.publish.ledger import Built, Mirrored, Release
from factory.publish.placing import write_simple
from factory.publish.resolver import Pin, Unresolvable, closed_environment, open_environment, resolve
from factory.publish.wheels import describe_wheel
from factory.tags import serves

LOWEST_GLIBC_MINOR = 27  # glibc 2.27 is the first that runs on riscv64


def mirror_dependencies(
    wheels: Sequence[Path],
    others: Sequence[Path],
    *,
    target: Target,
    cache: Path,
    log: LogSink,
    elsewhere: Sequence[Release] = (),
) -> tuple[Path, ...]:
    """Fetch what `wheels` need at run time on the target (without extras) and that neither they nor `others` are.

    `others` are ours too, but need not be of use on the target: those for another Python, for example. `elsewhere` are
    releases that installers have besides, as links.

    Files stay in the folder `cache` and serve as long as they, with those elsewhere, meet every requirement. No index
    is asked until they don't, so the same wheels get the same mirror. Returns the mirrored files of all wheels, ordered
    by name.

    Raises:
        PublishError: a dependency has no pure or riscv64 wheel (the message names it and who requires it), or the
            package index can't be reached.
        PrerequisiteMissing: this Python has no pip.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".resolve-", dir=cache) as scratch:
        mirror = _Mirror(
            ours={describe_wheel(path, Mirrored()): path for path in (*wheels, *others)},
            target=target,
            cache=cache,
            scratch=Path(scratch),
            log=log,
            elsewhere=elsewhere,
        )
        releases = [describe_wheel(path, Mirrored()) for path in wheels]
        roots = sorted({f"{release.project}=={release.version}" for release in releases})
        return tuple(sorted({path for root in roots for path in mirror.files_for(root)}))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mirror:
    ours: dict[Release, Path]
    target: Target
    cache: Path
    scratch: Path
    log: LogSink
    elsewhere: Sequence[Release]

    def files_for(self, root: str) -> tuple[Path, ...]:
        """The mirrored files that `root` needs, fetched where they are missing."""
        try:
            pins = self._resolve_closed(root)
        except Unresolvable:
            self._fetch(root)
            pins = self._resolve_closed(root)
        return self._mirrored(pins)

    def _resolve_closed(self, root: str) -> tuple[Pin, ...]:
        """Resolve as an installer will, that has our index and no other."""
        index = self._write_index("closed", self.ours | self._cached(), self.elsewhere)
        return resolve(root, python=self.target.python, environment=closed_environment(index), log=self.log)

    def _fetch(self, root: str) -> None:
        built = [release for release in self.elsewhere if isinstance(release.origin, Built)]
        index = self._write_index("ours", self.ours, built)
        pins = resolve(root, python=self.target.python, environment=open_environment(index), log=self.log)
        lines = [pin.requirement for pin in pins if pin.project not in self._our_projects()]
        if lines:
            _download(lines, self.target, self.cache, self.log)

    def _write_index(self, name: str, files: dict[Release, Path], elsewhere: Sequence[Release]) -> Path:
        """What is here is taken from here: it needs no network."""
        here = {release.filename for release in files}
        links = [release for release in elsewhere if release.filename not in here]
        write_simple([*files, *links], files.__getitem__, self.scratch / name)
        return self.scratch / name / "simple"

    def _our_projects(self) -> set[str]:
        built = (release for release in self.elsewhere if isinstance(release.origin, Built))
        return {release.project for release in (*self.ours, *built)}

    def _cached(self) -> dict[Release, Path]:
        found = {describe_wheel(path, Mirrored()): path for path in self.cache.glob("*.whl")}
        return {release: path for release, path in found.items() if release.project not in self._our_projects()}

    def _mirrored(self, pins: Sequence[Pin]) -> tuple[Path, ...]:
        wanted = " ".join(pin.requirement for pin in pins)
        found = {path for release, path in self._cached().items() if release.sha256 in wanted}
        return tuple(path for path in found if serves(path.name, self.target.python))


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
