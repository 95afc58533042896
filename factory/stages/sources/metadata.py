"""Metadata that a source states without being run: PKG-INFO and pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.source import Overlay, Source
from factory.stages.sources.archive import read_top_files, require_metadata_size
from factory.stages.sources.identity import require_identity
from factory.stages.sources.overlay import existing
from factory.util.log import LogSink

# Defaults of PEP 517 and PEP 518 for a source without a [build-system] table; the version is pypa/build's.
DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
DEFAULT_REQUIRES = ("setuptools >= 40.8.0",)
PKG_INFO, PYPROJECT, SETUP = "PKG-INFO", "pyproject.toml", "setup.py"

PATCH = "patch the source, or report it upstream"
# Characters of a source's own text in messages.
SHOWN = 200

# Contents of the files of a source's top folder that have its metadata, by their names.
Files = Mapping[str, bytes]


def read_project_metadata(tree: SourceTree, *, patched: bool = False) -> ProjectMetadata:
    """Read the metadata of an unpacked source.

    The project is read from PKG-INFO, which every sdist has, else from the [project] table; [build-system] has its
    standard defaults. PKG-INFO does not know what a patch of pyproject.toml changed: if it is `patched`, the [project]
    table counts, except for fields that it calls dynamic.

    Raises:
        SourceError: it is no Python project, or its pyproject.toml is not as PEP 518 and PEP 517 define it.
    """
    return _parse(tree.path.name, _files_in(tree.path), patched=patched)


def read_without_fetch(source: Source, cache: Path, log: LogSink) -> ProjectMetadata | None:
    """Read the metadata from the overlay or archive; None if only the tree has it.

    Raises:
        SourceError: as for `read_project_metadata`, or the source cannot be downloaded or is another project's.
    """
    if source.overlay is not None:
        files = _files_of_overlay(source.overlay)
        if PYPROJECT not in files:
            return None
        metadata = _parse(source.overlay.project, files)
        require_identity(source.overlay, metadata)
        return metadata
    archive = source.metadata_archive(cache, log)
    found = None if archive is None else read_top_files(archive, (PKG_INFO, PYPROJECT, SETUP))
    if found is None:
        return None
    metadata = _parse(*found)
    require_identity(source, metadata)
    return metadata


def _files_in(folder: Path) -> dict[str, bytes]:
    paths = [folder / name for name in (PKG_INFO, PYPROJECT, SETUP) if (folder / name).is_file()]
    for path in paths:
        require_metadata_size(f"{folder.name}/{path.name}", path.stat().st_size)
    return {path.name: path.read_bytes() for path in paths}


def _files_of_overlay(overlay: Overlay) -> Files:
    """Return the files of an overlay; a pyproject.toml invalidates PKG-INFO below it."""
    files: dict[str, bytes] = {}
    for folder in overlay.folders:
        files |= _files_in(existing(folder))
        if (folder / PYPROJECT).is_file():
            files.pop(PKG_INFO, None)
    return files


def _parse(folder: str, files: Files, *, patched: bool = False) -> ProjectMetadata:
    pyproject = _parse_pyproject(folder, files)
    project = _parse_core(folder, files, pyproject)
    if patched and PKG_INFO in files and "project" in pyproject:
        project = _with_static_fields(project, pyproject["project"], folder)
    system = _table(pyproject, "build-system", {"requires": list(DEFAULT_REQUIRES)}, folder)
    if PKG_INFO in files:
        dependencies, python = f"{folder}/{PKG_INFO}: Requires-Dist", f"{folder}/{PKG_INFO}: Requires-Python"
    else:
        dependencies = f"{folder}/{PYPROJECT}: project.dependencies"
        python = f"{folder}/{PYPROJECT}: project.requires-python"
    _check_requirements(dependencies, project.get("requires_dist", ()))
    _check_requirements(
        f"{folder}/{PYPROJECT}: build-system.requires", _strings(system, "build-system.requires", folder)
    )
    _check_requires_python(python, project.get("requires_python", ""))
    return ProjectMetadata(
        name=project.get("name"),
        version=project.get("version"),
        build_backend=_string(system, "build-system.build-backend", folder) or DEFAULT_BACKEND,
        build_requires=_strings(system, "build-system.requires", folder),
        backend_path=_backend_path(system, folder),
        requires_python=project.get("requires_python", ""),
        dependencies=tuple(project.get("requires_dist", ())),
        license=project.get("license_expression") or project.get("license", ""),
    )


def _parse_pyproject(folder: str, files: Files) -> dict[str, Any]:
    if PYPROJECT not in files:
        if SETUP in files:
            return {}
        raise SourceError(
            f"{folder}: has neither pyproject.toml nor setup.py",
            hint="only Python projects can be built: point source.path to the project's own folder",
        )
    try:
        return tomllib.loads(files[PYPROJECT].decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(folder, str(error)) from error


def _parse_core(folder: str, files: Files, pyproject: dict[str, Any]) -> RawMetadata:
    if PKG_INFO in files:
        raw, _unparsed = parse_email(files[PKG_INFO])
        return raw
    return _from_project_table(_table(pyproject, "project", {}, folder), folder)


def _with_static_fields(raw: RawMetadata, project: Any, folder: str) -> RawMetadata:
    """Replace fields of PKG-INFO by those of [project] that no backend computes."""
    stated = _from_project_table(_table({"project": project}, "project", {}, folder), folder)
    dynamic = _strings({"dynamic": [], **project}, "project.dynamic", folder)
    fields = {"name": "name", "version": "version", "requires_dist": "dependencies"}
    fields |= {"requires_python": "requires-python", "license": "license"}
    static: dict[str, Any] = {name: stated[name] for name, key in fields.items() if key not in dynamic}  # type: ignore[literal-required]
    if static.get("license"):
        raw = {**raw, "license_expression": ""}
    return {**raw, **static}  # type: ignore[typeddict-item]


def _from_project_table(project: dict[str, Any], folder: str) -> RawMetadata:
    """Return a [project] table under the names of core metadata (PEP 621)."""
    raw: RawMetadata = {}
    if "name" in project:
        raw["name"] = _string(project, "project.name", folder)
    if "version" in project:
        raw["version"] = _string(project, "project.version", folder)
    raw["requires_python"] = _string(project, "project.requires-python", folder)
    raw["requires_dist"] = list(_strings({"dependencies": [], **project}, "project.dependencies", folder))
    raw["license"] = _license(project, folder)
    return raw


def _license(project: dict[str, Any], folder: str) -> str:
    """Return the license: a string or, in older files, the text of a table."""
    if isinstance(project.get("license", ""), str):
        return _string(project, "project.license", folder)
    return _string(_table(project, "project.license", {}, folder), "project.license.text", folder)


def _check_requirements(subject: str, requirements: Iterable[str]) -> None:
    """Require requirements whose markers can be evaluated.

    Raises:
        SourceError: naming the first other one.
    """
    for text in requirements:
        try:
            marker = Requirement(text).marker
            if marker is not None:
                marker.evaluate({"extra": ""})
        except (InvalidRequirement, InvalidVersion, UndefinedComparison, UndefinedEnvironmentName) as error:
            cause = str(error).splitlines()[0]
            raise SourceError(
                f"{subject}: invalid requirement {text[:SHOWN]!r}: {cause[:SHOWN]}", hint=PATCH
            ) from error


def _check_requires_python(subject: str, text: str) -> None:
    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise SourceError(
            f"{subject}: invalid version specifier {text[:SHOWN]!r}: installers would ignore it", hint=PATCH
        ) from error


def _table(tables: dict[str, Any], path: str, default: dict[str, Any], folder: str) -> dict[str, Any]:
    table = tables.get(path.rpartition(".")[2], default)
    if not isinstance(table, dict):
        raise _invalid(folder, f"{path} must be a table")
    return table


def _backend_path(system: dict[str, Any], folder: str) -> tuple[str, ...]:
    paths = _strings(system, "build-system.backend-path", folder) if "backend-path" in system else ()
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise _invalid(folder, f"build-system.backend-path {path!r} leaves the source")
    return paths


def _string(table: dict[str, Any], path: str, folder: str) -> str:
    """Return the string of the table's key that ends `path`, empty if it is missing."""
    value = table.get(path.rpartition(".")[2], "")
    if not isinstance(value, str):
        raise _invalid(folder, f"{path} must be a string")
    return value


def _strings(table: dict[str, Any], path: str, folder: str) -> tuple[str, ...]:
    value = table.get(path.rpartition(".")[2])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _invalid(folder, f"{path} must be a list of strings")
    return tuple(value)


def _invalid(folder: str, cause: str) -> SourceError:
    return SourceError(f"{folder}/pyproject.toml: {cause}", hint=PATCH)
