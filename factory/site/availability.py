"""Query of the package index for the packages that stacks need on riscv64.

uv resolves for a Linux on which every version has wheels, and this module then checks which of the chosen versions have
riscv64 wheels. Resolving for riscv64 directly would make uv try ever older versions of a stack and find none.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli_w
from packaging.markers import Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pypi_simple import DistributionPackage

from factory.errors import CommandFailed, PublishError
from factory.model.markers import marker_environment
from factory.model.target import Target
from factory.publish.resolver import NO_SOLUTION, compile_requirements, host_environment
from factory.publish.upstream_index import configured_upstream
from factory.site.coverage import Coverage, Pin, Stack
from factory.site.states import MISSING, PURE, UPSTREAM
from factory.util.cancellation import time_limit
from factory.util.log import LogSink
from factory.util.wheel_tags import glibc_of, serves

LIMIT_SECONDS = 300.0  # for one stack and Python; a solvable one takes some 20 seconds
SOURCES = ("sdist", "vcs", "directory", "archive")  # keys of a package's source in a lock file


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Requirements as people read them and as uv reads them, and settings of uv."""

    requirements: tuple[str, ...]
    wanted: str
    settings: Mapping[str, Any]


def gather_coverage(files: Sequence[Path], built: Iterable[str], *, pythons: Sequence[str], log: LogSink) -> Coverage:
    """Resolve the stacks in `files`.

    Also find the first upstream riscv64 wheels of the projects `built` here.

    A stack is a requirements file (`.txt`), or a uv project (`.toml`) if it needs settings of uv. uv builds only those
    packages whose requirements no metadata states.

    Raises:
        PublishError: a file is not a stack, the index cannot be queried, or uv exceeds LIMIT_SECONDS.
    """
    stacks = tuple(resolve_stack(file.stem, [file], pythons=pythons, log=log) for file in files)
    since: dict[str, Mapping[str, str]] = {}
    with configured_upstream() as upstream:
        for project in sorted(built):
            packages = upstream.packages(project)
            found = {python: _riscv64_since(packages, python) for python in pythons}
            since[project] = {python: version for python, version in found.items() if version}
    return Coverage(
        pythons=tuple(pythons),
        gathered=datetime.now(UTC).strftime("%Y-%m-%d"),
        stacks=stacks,
        riscv64_since={project: versions for project, versions in since.items() if versions},
    )


def resolve_stack(name: str, files: Sequence[Path], *, pythons: Sequence[str], log: LogSink) -> Stack:
    """Resolve the requirements in `files` together, for each of the Pythons.

    Raises:
        PublishError: as `gather_coverage`.
    """
    requests = [_request(file) for file in files]
    pins: dict[tuple[str, str], Pin] = {}
    problems: dict[str, str] = {}
    for python in pythons:
        packages, problem = _resolve(name, requests, python, log)
        problems |= {python: problem} if problem else {}
        for pin in (_pin(package, python) for package in packages):
            before = pins.get((pin.project, pin.version), pin)
            pins[pin.project, pin.version] = replace(pin, offers={**before.offers, **pin.offers})
    return Stack(
        name=name,
        requirements=tuple(line for request in requests for line in request.requirements),
        pins=tuple(pins[key] for key in sorted(pins)),
        problems=problems,
    )


def _request(file: Path) -> Request:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix != ".toml":
            return Request(requirements=_lines(text), wanted=f"-r {file.absolute()}\n", settings={})
        project = tomllib.loads(text)
        dependencies = project["project"]["dependencies"]
        if not all(isinstance(each, str) for each in dependencies):
            raise ValueError("project.dependencies: not a list of requirements")
        settings = dict(project.get("tool", {}).get("uv", {}))
    except OSError as error:
        raise PublishError(
            f"{file}: cannot be read: {error.strerror}", hint="name a requirements file or a pyproject.toml"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PublishError(
            f"{file}: not a stack: {error}",
            hint="name a requirements file, or a TOML file with project.dependencies such as pyproject.toml",
        ) from error
    wanted = "".join(f"{each}\n" for each in dependencies)
    return Request(requirements=tuple(dependencies), wanted=wanted, settings=settings)


def _lines(text: str) -> tuple[str, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _resolve(
    name: str, requests: Sequence[Request], python: str, log: LogSink
) -> tuple[Sequence[Mapping[str, Any]], str]:
    """Return the packages that riscv64 needs, or uv's message if there is no solution."""
    settings = {key: value for request in requests for key, value in request.settings.items()}
    settings["environments"] = [_environment(python)]
    with tempfile.TemporaryDirectory(prefix="factory-coverage-") as folder:
        wanted, answer = Path(folder) / "wanted.txt", Path(folder) / "pylock.toml"
        wanted.write_text("".join(request.wanted for request in requests), encoding="utf-8")
        (Path(folder) / "pyproject.toml").write_text(tomli_w.dumps({"tool": {"uv": settings}}), encoding="utf-8")
        options = ["--universal", "--format", "pylock.toml", "--directory", folder]
        try:
            with time_limit(LIMIT_SECONDS, lambda: _too_long(name)):
                log.write(compile_requirements(wanted, answer, options, python=python, environment=host_environment()))
        except CommandFailed as error:
            if error.status == NO_SOLUTION:
                return (), error.output
            raise PublishError(
                f"{name}: resolution failed:\n{error.output}",
                hint="fix the requirements that uv names, or check the address of the package index: pip config list",
            ) from error
        lock = tomllib.loads(answer.read_text(encoding="utf-8"))
    return [package for package in lock.get("packages", []) if _is_for_riscv64(package, python)], ""


def _environment(python: str) -> str:
    """Return the marker that limits uv's resolution to Linux and one Python."""
    major, minor = python.split(".")
    pythons = f"python_full_version >= '{python}' and python_full_version < '{major}.{int(minor) + 1}'"
    return f"sys_platform == 'linux' and implementation_name == 'cpython' and {pythons}"


def _too_long(name: str) -> PublishError:
    return PublishError(
        f"{name}: resolution failed: uv found no solution in {LIMIT_SECONDS:.0f} seconds",
        hint="uv tries ever older versions if the newest ones conflict: pin versions that work together",
    )


def _is_for_riscv64(package: Mapping[str, Any], python: str) -> bool:
    marker = package.get("marker")
    return marker is None or Marker(marker).evaluate(marker_environment(python))


def _pin(package: Mapping[str, Any], python: str) -> Pin:
    names = [_filename(wheel) for wheel in _files(package)]
    kinds = {_offer(name) for name in names if serves(name, python)}
    return Pin(
        project=canonicalize_name(package["name"]),
        version=str(package.get("version", "")),
        offers={python: next((kind for kind in (UPSTREAM, PURE) if kind in kinds), MISSING)},
        source=not package.keys().isdisjoint(SOURCES),
    )


def _files(package: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return a package's wheels, including one that is required by its URL."""
    archive = package.get("archive", {})
    return [*package.get("wheels", []), *([archive] if archive and _filename(archive).endswith(".whl") else [])]


def _filename(file: Mapping[str, Any]) -> str:
    return str(file.get("name") or unquote(urlsplit(file.get("url") or file["path"]).path.rpartition("/")[2]))


def _offer(wheel: str) -> str:
    """Return the state of a wheel with a matching Python tag.

    It is UPSTREAM, PURE, or MISSING if the platform does not fit.
    """
    platforms = {tag.platform for tag in parse_wheel_filename(wheel)[3]}
    if "any" in platforms:
        return PURE
    return UPSTREAM if any(map(_runs_on_target, platforms)) else MISSING


def _runs_on_target(platform: str) -> bool:
    glibc = glibc_of(platform)
    return glibc is not None and glibc <= Target().glibc_floor


def _riscv64_since(packages: Iterable[DistributionPackage], python: str) -> str:
    """Return the first final version since which all have riscv64 wheels.

    It is empty if the newest version has none: an installer without a version constraint chooses that version.
    """
    served: dict[Version, bool] = {}
    for package in packages:
        version = _final_version(package)
        if version is not None and not package.is_yanked and _admits(package.requires_python, python):
            served[version] = served.get(version, False) or _is_compiled(package.filename, python)
    newest_first = sorted(served, reverse=True)
    since = list(takewhile(served.__getitem__, newest_first))
    return str(since[-1]) if since else ""


def _final_version(package: DistributionPackage) -> Version | None:
    try:
        version = Version(package.version or "")
    except InvalidVersion:
        return None
    return None if version.is_prerelease else version


def _admits(requires_python: str | None, python: str) -> bool:
    try:
        return SpecifierSet(requires_python or "").contains(f"{python}.0")
    except InvalidSpecifier:  # installers ignore it too
        return True


def _is_compiled(filename: str, python: str) -> bool:
    """Test whether a file is a compiled wheel for riscv64 and a Python."""
    try:
        return filename.endswith("riscv64.whl") and serves(filename, python) and _offer(filename) == UPSTREAM
    except InvalidWheelFilename:
        return False
