"""The `source` table of a recipe: where a package's source comes from, and what is laid over it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from factory.model.recipe import DebianPackaging, Overlay, SourcePin
from factory.recipes.toml_reader import Table
from factory.recipes.values import check_folder, check_version, is_inside, read_sha256

# Debian Policy 5.6.1.
_DEBIAN_SOURCE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DEBIAN_REVISION = re.compile(r"[A-Za-z0-9+.~]+")
# The upstream part of Policy 5.6.12: neither an epoch before it nor Debian's revision after it.
_DEBIAN_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)*")


def read_source(table: Table, name: str, version: str, directory: Path) -> SourcePin:
    """A source of another project's, or of another version, needs an overlay that makes it this package."""
    kind = table.choice("kind", SOURCE_KINDS)
    if kind not in SOURCE_KINDS:
        table.ignore_unknown_keys()  # which keys belong here depends on the kind
        return SourcePin(kind=kind, project=name, version=version)
    overlay = _read_overlay(table, name, version, directory)
    project, source_version = table.string("project", name), table.string("version", version)
    if overlay is None and (project, source_version) != (name, version):
        table.problem("overlay", "is missing: only an overlay makes another project's source this package")
    pin = SOURCE_KINDS[kind](table, project, source_version, directory)
    return replace(pin, overlay=overlay, parts=_read_parts(table.table("parts"), directory))


def _read_parts(table: Table, directory: Path) -> dict[str, SourcePin]:
    for folder in table.keys:
        if not is_inside(folder):
            table.problem(folder, f"{folder!r} must be the path of a folder inside the source")
    return {folder: _read_part(table.table(folder), directory) for folder in table.keys}


def _read_part(table: Table, directory: Path) -> SourcePin:
    """A source that another one takes in says whose it is itself."""
    kind = table.choice("kind", SOURCE_KINDS)
    project, version = table.string("project"), table.string("version")
    if kind not in SOURCE_KINDS:
        table.ignore_unknown_keys()
        return SourcePin(kind=kind, project=project, version=version)
    return SOURCE_KINDS[kind](table, project, version, directory)


def _read_overlay(table: Table, name: str, version: str, directory: Path) -> Overlay | None:
    folders = table.strings("overlay")
    for folder in folders:
        check_folder(table, "overlay", folder, directory)
    if not folders:
        return None
    return Overlay(project=name, version=version, folders=tuple(directory / folder for folder in folders))


def _read_pypi(table: Table, name: str, version: str, _directory: Path) -> SourcePin:
    check_version(table, version)
    return SourcePin(kind="pypi", project=name, version=version, sha256=read_sha256(table, "sha256"))


def _read_debian(table: Table, name: str, version: str, _directory: Path) -> SourcePin:
    if name and not _DEBIAN_SOURCE.fullmatch(name):
        table.problem("project", f"{name!r} is not the name of a Debian source package")
    if version and not _DEBIAN_VERSION.fullmatch(version):
        table.problem("version", f"{version!r} is not an upstream version as Debian writes it, as in '0.3.34+ds'")
    packaging = _read_packaging(table.table("packaging")) if "packaging" in table.keys else None
    sha256 = read_sha256(table, "sha256")
    return SourcePin(kind="debian", project=name, version=version, sha256=sha256, packaging=packaging)


def _read_packaging(table: Table) -> DebianPackaging:
    revision = table.string("revision")
    if revision and not _DEBIAN_REVISION.fullmatch(revision):
        table.problem("revision", f"{revision!r} is not a revision as Debian writes it, as in '7'")
    sha256 = read_sha256(table, "sha256")
    return DebianPackaging(revision=revision, sha256=sha256, left_out=table.strings("left-out"))


def _read_deb(table: Table, name: str, version: str, directory: Path) -> SourcePin:
    package = table.string("package")
    if package and not _DEBIAN_SOURCE.fullmatch(package):
        table.problem("package", f"{package!r} is not the name of a Debian package")
    pin = _read_debian(table, name, version, directory)
    return replace(pin, kind="deb", package=package)


def _read_local(table: Table, name: str, version: str, directory: Path) -> SourcePin:
    path = table.string("path")
    if path:
        check_folder(table, "path", path, directory)
    sha256 = read_sha256(table, "sha256", "")
    return SourcePin(kind="local", project=name, version=version, sha256=sha256, path=directory / path)


# factory.stages.sources.registry holds the function that fetches each kind.
SOURCE_KINDS: Mapping[str, Callable[[Table, str, str, Path], SourcePin]] = {
    "pypi": _read_pypi,
    "debian": _read_debian,
    "deb": _read_deb,
    "local": _read_local,
}
