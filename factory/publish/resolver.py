"""Dependency resolution by uv, which evaluates markers for the target.

pip is no alternative: `pip download --platform` selects files for the target, but evaluates markers such as
`platform_machine == "x86_64"` or `python_version < "3.13"` for the host it runs on.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from factory.errors import CommandFailed, PublishError
from factory.host.pip import pip_settings, uv_variables
from factory.host.uv import VARIABLES
from factory.publish.lock_files import name_files, parse_lock
from factory.util import cancellation
from factory.util.durations import show_duration
from factory.util.hang_limits import TIMED_OUT
from factory.util.log import LogSink
from factory.util.process import run

UV_PLATFORM = "riscv64-unknown-linux"  # to uv this is manylinux_2_39
# An index that sends a byte now and then meets uv's own time-outs.
RESOLVE_SECONDS = 1800.0
# As uv hints at it.
WITHOUT_WHEEL = re.compile(r"[Ww]heels (?:are (?:required|available) )?for `([\w.-]+)`")
NO_SOLUTION = 1  # uv's exit status; others mean that an index could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A resolved version.

    `requirement` is `name==version` with the sha256 of every file that fits the target.
    """

    project: str
    version: str
    requirement: str


class Unresolvable(PublishError):
    """Dependencies of a wheel that wheels alone can't meet."""

    def missing(self) -> frozenset[NormalizedName]:
        """Return the projects of which uv says that it has no usable wheel."""
        return frozenset(canonicalize_name(match[1]) for match in WITHOUT_WHEEL.finditer(self.message))


def resolve(root: str, *, python: str, environment: Mapping[str, str], log: LogSink) -> tuple[Pin, ...]:
    """Resolve `root` (`name==version`) on riscv64 for a Python (`3.13`) to pinned files.

    `environment` selects the indexes: `closed_environment` or `open_environment`.

    Raises:
        Unresolvable: no choice of wheels meets all requirements; the message holds uv's explanation.
        PublishError: an index could not be asked.
    """
    with tempfile.TemporaryDirectory(prefix="factory-resolve-") as folder:
        wanted, answer = Path(folder) / "wanted.in", Path(folder) / "answer.txt"
        wanted.write_text(f"{root}\n", encoding="utf-8")
        options = ["--generate-hashes", "--no-annotate"]
        output = _compile(root, wanted, answer, options, python=python, environment=environment)
        log.write(f"{root} needs:\n{output}")
        return _parse(answer.read_text(encoding="utf-8"))


def lock(requirements: Sequence[str], *, python: str, index: str) -> str:
    """Return a lock file (PEP 751) of all that `requirements` need on riscv64.

    It comes from the index at the address `index` alone.

    Raises:
        Unresolvable, PublishError: as `resolve`, or they need nothing for this Python.
    """
    with tempfile.TemporaryDirectory(prefix="factory-lock-") as folder:
        wanted, answer = Path(folder) / "wanted.in", Path(folder) / "pylock.toml"
        wanted.write_text("".join(f"{each}\n" for each in requirements), encoding="utf-8")
        subject, environment, options = " ".join(requirements), closed_environment(index), ["--format", "pylock.toml"]
        reach = "check the index's address and the network"
        _compile(subject, wanted, answer, options, python=python, environment=environment, reach=reach)
        text = name_files(answer.read_text(encoding="utf-8"))
    if not parse_lock(text).packages:
        raise PublishError(
            f"{subject}: nothing to install on riscv64 with Python {python}",
            hint="leave out the marker (after the semicolon), or choose another --python",
        )
    return text


def _compile(
    root: str,
    wanted: Path,
    answer: Path,
    options: Sequence[str],
    *,
    python: str,
    environment: Mapping[str, str],
    reach: str = "check that the package index is reachable: pip config list",
) -> str:
    options = [*options, "--python-platform", UV_PLATFORM, "--only-binary", ":all:", "--refresh"]
    try:
        return compile_requirements(wanted, answer, options, python=python, environment=environment)
    except CommandFailed as error:
        if error.status == NO_SOLUTION:
            raise Unresolvable(
                f"{root}: cannot resolve for riscv64 from wheels only:\n{error.output}",
                hint="write a recipe for the package without a wheel, or build a version with other requirements",
            ) from error
        raise PublishError(
            f"{root}: cannot look up its dependencies:\n{error.output}",
            hint=reach,
        ) from error


def compile_requirements(
    wanted: Path, answer: Path, options: Sequence[str], *, python: str, environment: Mapping[str, str]
) -> str:
    """Compile the requirements file `wanted` to pins in `answer` with uv; returns its output.

    Raises:
        CommandFailed: with the status NO_SOLUTION if nothing meets all requirements.
    """
    argv = [sys.executable, "-m", "uv", "pip", "compile", str(wanted), "--output-file", str(answer), "--quiet"]
    argv += ["--python", sys.executable, "--no-python-downloads", "--python-version", python]
    argv += ["--no-header", *options]
    with cancellation.time_limit(RESOLVE_SECONDS, _too_slow):
        return run(argv, env=environment, what="uv pip compile")


def _too_slow() -> CommandFailed:
    cause = f"uv pip compile: not finished after {show_duration(RESOLVE_SECONDS)}"
    return CommandFailed(cause, status=TIMED_OUT, output=cause)


def _parse(text: str) -> tuple[Pin, ...]:
    """Parse pins; the hashes of each follow on separate lines, joined by backslashes."""
    requirements = text.replace("\\\n", " ").splitlines()
    return tuple(_pin(" ".join(line.split())) for line in requirements if line.strip() and not line.startswith("#"))


def _pin(line: str) -> Pin:
    requirement = Requirement(line.partition(" --hash=")[0])
    (specifier,) = requirement.specifier
    return Pin(project=canonicalize_name(requirement.name), version=specifier.version, requirement=line)


def closed_environment(index: str) -> Mapping[str, str]:
    """Return uv's environment with the simple repository at the address `index` alone."""
    return _without_indexes() | {"UV_DEFAULT_INDEX": index, "UV_NO_CONFIG": "1"}


def open_environment(index: Path) -> Mapping[str, str]:
    """Return uv's environment with the host's indexes after `index`.

    Projects in `index` come from there alone.
    """
    configured = _host_indexes()
    behind = configured.pop("UV_INDEX", "")
    first = index.absolute().as_uri()
    return (
        _without_indexes() | configured | {"UV_INDEX": f"{first} {behind}".strip(), "UV_INDEX_STRATEGY": "first-index"}
    )


def host_environment() -> Mapping[str, str]:
    """Return uv's environment with the host's indexes."""
    return _without_indexes() | _host_indexes()


def _without_indexes() -> dict[str, str]:
    names = {*(name for pair in VARIABLES.values() for name in pair), "UV_INDEX_STRATEGY", "UV_NO_INDEX"}
    return {name: value for name, value in os.environ.items() if name not in names}


def _host_indexes() -> dict[str, str]:
    pip = pip_settings()
    certificates = {"SSL_CERT_FILE": pip["cert"]} if "cert" in pip and "SSL_CERT_FILE" not in os.environ else {}
    return uv_variables(pip) | certificates
