"""What well-known stacks need on riscv64, gathered from the package index that this machine is configured with.

uv chooses versions as it would for a Linux where everything has wheels, and here it is looked at which of those riscv64
has: asked for riscv64 itself, it would look for ever older versions of a stack whose newest one can't be had there, and
in the end tell of none.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli_w
from packaging.markers import Marker
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from factory.errors import CommandFailed, PublishError
from factory.model import LogSink, Target
from factory.publish.resolver import NO_SOLUTION, compile_requirements, host_environment
from factory.publish.upstream import Upstream, configured_upstream
from factory.site.catalogue import MISSING, PURE, UPSTREAM
from factory.site.coverage import Coverage, Pin, Stack
from factory.stopping import time_limit
from factory.tags import glibc_of, serves

LIMIT_SECONDS = 300.0  # for one stack; what can be answered is in some 20 seconds
MARKED = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "riscv64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}


def gather(files: Sequence[Path], built: Iterable[str], *, python: str, log: LogSink) -> Coverage:
    """Find out what the stacks in `files` need, and since when the projects `built` here have wheels of their own.

    A stack is a requirements file (`.txt`), or a project as uv knows it (`.toml`) where more has to be said. uv builds
    nothing but what states its requirements nowhere.

    Raises:
        PublishError: a file is no stack, the index can't be asked, or uv finds no answer in LIMIT_SECONDS.
    """
    stacks = tuple(_stack(file, python, log) for file in files)
    with configured_upstream() as upstream:
        found = {project: _first_version(upstream, project, python) for project in sorted(built)}
    since = {project: version for project, version in found.items() if version}
    return Coverage(python=python, gathered=datetime.now(UTC).strftime("%Y-%m-%d"), stacks=stacks, riscv64_since=since)


def _stack(file: Path, python: str, log: LogSink) -> Stack:
    project = _project(file, python)
    requirements = tuple(project["project"]["dependencies"])
    with tempfile.TemporaryDirectory(prefix="factory-coverage-") as folder:
        wanted, answer = Path(folder) / "pyproject.toml", Path(folder) / "pylock.toml"
        wanted.write_text(tomli_w.dumps(project), encoding="utf-8")
        options = ["--universal", "--format", "pylock.toml", "--directory", folder]
        try:
            with time_limit(LIMIT_SECONDS, lambda: _too_long(file)):
                log.write(compile_requirements(wanted, answer, options, python=python, environment=host_environment()))
        except CommandFailed as error:
            if error.status == NO_SOLUTION:
                return Stack(name=file.stem, requirements=requirements, pins=(), problem=error.output)
            raise PublishError(
                f"what {file} needs could not be found out:\n{error.output}",
                hint="see whether the package index can be reached: pip config list",
            ) from error
        lock = tomllib.loads(answer.read_text(encoding="utf-8"))
    needed = [package for package in lock.get("packages", []) if _is_for_riscv64(package, python)]
    pins = sorted((_pin(package, python) for package in needed), key=lambda pin: pin.project)
    return Stack(name=file.stem, requirements=requirements, pins=tuple(pins))


def _project(file: Path, python: str) -> dict[str, Any]:
    """The stack as a project for uv, which is to think of Linux and that Python alone."""
    try:
        text = file.read_text(encoding="utf-8")
        project: dict[str, Any] = {"project": {"dependencies": _lines(text)}}
        if file.suffix == ".toml":
            project = tomllib.loads(text)
        stated = project["project"]
        if not all(isinstance(each, str) for each in stated["dependencies"]):
            raise ValueError("project.dependencies is no list of requirements")
    except (ValueError, KeyError, TypeError) as error:
        raise PublishError(
            f"{file} is no stack: {error}", hint="it has project.dependencies, as a pyproject.toml has them"
        ) from error
    project["project"] = {"name": "stack", "version": "0", **stated}
    major, minor = python.split(".")
    pythons = f"python_full_version >= '{python}' and python_full_version < '{major}.{int(minor) + 1}'"
    options = project.setdefault("tool", {}).setdefault("uv", {})
    options["environments"] = [f"sys_platform == 'linux' and implementation_name == 'cpython' and {pythons}"]
    return project


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _too_long(file: Path) -> PublishError:
    return PublishError(
        f"uv found no answer to what {file} needs in {LIMIT_SECONDS:.0f} seconds",
        hint="it tries older and older versions where the newest ones don't go together: name versions that do",
    )


def _is_for_riscv64(package: Mapping[str, Any], python: str) -> bool:
    marker = package.get("marker")
    versions = {"python_version": python, "python_full_version": f"{python}.0"}
    return marker is None or Marker(marker).evaluate({**MARKED, **versions})


def _pin(package: Mapping[str, Any], python: str) -> Pin:
    names = [_filename(wheel) for wheel in package.get("wheels", [])]
    kinds = {_offer(name) for name in names if serves(name, python)}
    offers = next((kind for kind in (UPSTREAM, PURE) if kind in kinds), MISSING)
    return Pin(
        project=canonicalize_name(package["name"]),
        version=str(package.get("version", "")),
        offers=offers,
        source="sdist" in package,
    )


def _filename(wheel: Mapping[str, Any]) -> str:
    return str(wheel.get("name") or unquote(urlsplit(wheel["url"]).path.rpartition("/")[2]))


def _offer(wheel: str) -> str:
    """What a wheel of a fitting Python is to a board: UPSTREAM, PURE, or MISSING where it is for something else."""
    platforms = {tag.platform for tag in parse_wheel_filename(wheel)[3]}
    if "any" in platforms:
        return PURE
    return UPSTREAM if any(map(_runs_on_target, platforms)) else MISSING


def _runs_on_target(platform: str) -> bool:
    glibc = glibc_of(platform)
    return glibc is not None and glibc <= Target().glibc_floor


def _first_version(upstream: Upstream, project: str, python: str) -> str:
    """The first final version with a wheel that a riscv64 board with that Python takes; empty where there is none."""
    names = (package.filename for package in upstream.packages(project) if not package.is_yanked)
    versions = [version for name in names if (version := _compiled_version(name, python)) is not None]
    return str(min((version for version in versions if not version.is_prerelease), default=""))


def _compiled_version(filename: str, python: str) -> Version | None:
    """The version of a file, if it is a wheel for riscv64 and that Python."""
    try:
        fits = filename.endswith("riscv64.whl") and serves(filename, python) and _offer(filename) == UPSTREAM
        return parse_wheel_filename(filename)[1] if fits else None
    except InvalidWheelFilename:
        return None
