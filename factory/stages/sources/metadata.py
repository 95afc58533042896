"""Metadata that a source states without being run: PKG-INFO and pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.metadata import RawMetadata, parse_email

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.source import Overlay, Source
from factory.stages.sources.archive import read_top_files
from factory.stages.sources.identity import require_identity
from factory.stages.sources.overlay import existing
from factory.util.log import LogSink

# Defaults of PEP 517 and PEP 518 for a source without a [build-system] table; the version is pypa/build's.
DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
DEFAULT_REQUIRES = ("setuptools >= 40.8.0",)
PKG_INFO, PYPROJECT, SETUP = "PKG-INFO", "pyproject.toml", "setup.py"

# Contents of the files of a source's top folder that have its metadata, by their names.
Files = Mapping[str, bytes]


def read_project_metadata(tree: SourceTree) -> ProjectMetadata:
    """Read the metadata of an unpacked source.

    The project is read from PKG-INFO, which every sdist has, else from the [project] table; [build-system] has its
    standard defaults.

    Raises:
        SourceError: it is no Python project, or its pyproject.toml is not as PEP 518 and PEP 517 define it.
    """
    return _parse(tree.path.name, _files_in(tree.path))


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
    return {name: (folder / name).read_bytes() for name in (PKG_INFO, PYPROJECT, SETUP) if (folder / name).is_file()}


def _files_of_overlay(overlay: Overlay) -> Files:
    """Return the files of an overlay; a pyproject.toml invalidates PKG-INFO below it."""
    files: dict[str, bytes] = {}
    for folder in overlay.folders:
        files |= _files_in(existing(folder))
        if (folder / PYPROJECT).is_file():
            files.pop(PKG_INFO, None)
    return files


def _parse(folder: str, files: Files) -> ProjectMetadata:
    pyproject = _parse_pyproject(folder, files)
    project = _parse_core(files, pyproject)
    system = pyproject.get("build-system", {"requires": list(DEFAULT_REQUIRES)})
    return ProjectMetadata(
        name=project.get("name"),
        version=project.get("version"),
        build_backend=_string(system, "build-backend", folder) or DEFAULT_BACKEND,
        build_requires=_strings(system, "requires", folder),
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid(folder, str(error)) from error


def _parse_core(files: Files, pyproject: dict[str, Any]) -> RawMetadata:
    if PKG_INFO in files:
        raw, _unparsed = parse_email(files[PKG_INFO])
        return raw
    return _from_project_table(pyproject.get("project", {}))


def _from_project_table(project: dict[str, Any]) -> RawMetadata:
    """Return a [project] table under the names of core metadata (PEP 621)."""
    raw: RawMetadata = {}
    if "name" in project:
        raw["name"] = project["name"]
    if "version" in project:
        raw["version"] = project["version"]
    raw["requires_python"] = project.get("requires-python", "")
    raw["requires_dist"] = project.get("dependencies", [])
    text = project.get("license", "")
    raw["license"] = text if isinstance(text, str) else text.get("text", "")
    return raw


def _backend_path(system: dict[str, Any], folder: str) -> tuple[str, ...]:
    paths = _strings(system, "backend-path", folder) if "backend-path" in system else ()
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise _invalid(folder, f"build-system.backend-path {path!r} leaves the source")
    return paths


def _string(system: dict[str, Any], key: str, folder: str) -> str:
    value = system.get(key, "")
    if not isinstance(value, str):
        raise _invalid(folder, f"build-system.{key} must be a string")
    return value


def _strings(system: dict[str, Any], key: str, folder: str) -> tuple[str, ...]:
    value = system.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _invalid(folder, f"build-system.{key} must be a list of strings")
    return tuple(value)


def _invalid(folder: str, cause: str) -> SourceError:
    return SourceError(f"{folder}/pyproject.toml: {cause}", hint="patch the source, or report it upstream")
