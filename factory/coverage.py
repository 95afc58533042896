"""What well-known stacks need on riscv64, gathered from the package index that this machine is configured with."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from factory.errors import CommandFailed, PublishError
from factory.model import LogSink
from factory.publish.resolver import NO_SOLUTION, compile_requirements, host_environment
from factory.publish.upstream import Upstream, configured_upstream
from factory.site.catalogue import MISSING, PURE, UPSTREAM
from factory.site.coverage import Coverage, Pin, Stack


def gather(files: Sequence[Path], built: Iterable[str], *, python: str, log: LogSink) -> Coverage:
    """Resolve requirements files for riscv64, and ask since when the projects `built` have wheels of their own.

    uv chooses as it would on a board, where it may take source archives too; it builds none but those whose
    requirements no metadata states.

    Raises:
        PublishError: the index can't be asked.
    """
    stacks = tuple(_stack(file, python, log) for file in files)
    with configured_upstream() as upstream:
        since = {project: version for project in sorted(built) if (version := _first_version(upstream, project))}
    return Coverage(python=python, gathered=datetime.now(UTC).strftime("%Y-%m-%d"), stacks=stacks, riscv64_since=since)


def _stack(file: Path, python: str, log: LogSink) -> Stack:
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    requirements = tuple(line for line in lines if line and not line.startswith("#"))
    with tempfile.TemporaryDirectory(prefix="factory-coverage-") as folder:
        answer = Path(folder) / "pylock.toml"
        options = ["--format", "pylock.toml"]
        try:
            log.write(compile_requirements(file, answer, options, python=python, environment=host_environment()))
        except CommandFailed as error:
            if error.status == NO_SOLUTION:
                return Stack(name=file.stem, requirements=requirements, pins=(), problem=error.output)
            raise PublishError(
                f"what {file} needs could not be found out:\n{error.output}",
                hint="see whether the package index can be reached: pip config list",
            ) from error
        lock = tomllib.loads(answer.read_text(encoding="utf-8"))
    pins = sorted((_pin(package) for package in lock.get("packages", [])), key=lambda pin: pin.project)
    return Stack(name=file.stem, requirements=requirements, pins=tuple(pins))


def _pin(package: Mapping[str, Any]) -> Pin:
    """uv lists the wheels that fit riscv64, and no others."""
    names = [str(wheel.get("name") or wheel["url"]) for wheel in package.get("wheels", [])]
    compiled = any(not name.endswith("-any.whl") for name in names)
    offers = UPSTREAM if compiled else PURE if names else MISSING
    return Pin(project=canonicalize_name(package["name"]), version=str(package.get("version", "")), offers=offers)


def _first_version(upstream: Upstream, project: str) -> str:
    """The first final version with a wheel for riscv64; empty where there is none."""
    names = [package for package in upstream.packages(project) if package.filename.endswith("riscv64.whl")]
    versions = [version for package in names if (version := _version(package.version)) is not None]
    return str(min((version for version in versions if not version.is_prerelease), default=""))


def _version(text: str | None) -> Version | None:
    try:
        return Version(text or "")
    except InvalidVersion:
        return None
