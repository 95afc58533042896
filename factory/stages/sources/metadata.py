"""What a source says of itself, without running it: PKG-INFO and pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.metadata import RawMetadata, parse_email

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata

# What PEP 517 and PEP 518 say for a source without a [build-system] table; the version is the one that pypa/build asks.
DEFAULT_BACKEND = "setuptools.build_meta:__legacy__"
DEFAULT_REQUIRES = ("setuptools >= 40.8.0",)


def read_project_metadata(tree: SourceTree) -> ProjectMetadata:
    """Read PKG-INFO, which every sdist has, else the [project] table; and [build-system] with its standard defaults.

    Raises:
        SourceError: it is no Python project, or its pyproject.toml is not as PEP 518 and PEP 517 define it.
    """
    pyproject = _read_pyproject(tree.path)
    project = _read_core(tree.path, pyproject)
    system = pyproject.get("build-system", {"requires": list(DEFAULT_REQUIRES)})
    return ProjectMetadata(
        name=project.get("name"),
        version=project.get("version"),
        build_backend=_string(system, "build-backend", tree.path) or DEFAULT_BACKEND,
        build_requires=_strings(system, "requires", tree.path),
        backend_path=_backend_path(system, tree.path),
        requires_python=project.get("requires_python", ""),
        dependencies=tuple(project.get("requires_dist", ())),
        license=project.get("license_expression") or project.get("license", ""),
    )


def _read_pyproject(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    if not file.is_file():
        if (folder / "setup.py").is_file():
            return {}
        raise SourceError(
            f"{folder.name}: has neither pyproject.toml nor setup.py",
            hint="only Python projects can be built; is source.path the project's own folder?",
        )
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(folder, str(error)) from error


def _read_core(folder: Path, pyproject: dict[str, Any]) -> RawMetadata:
    file = folder / "PKG-INFO"
    if file.is_file():
        raw, _unparsed = parse_email(file.read_bytes())
        return raw
    return _from_project_table(pyproject.get("project", {}))


def _from_project_table(project: dict[str, Any]) -> RawMetadata:
    """The static part of a [project] table, under the names of core metadata (PEP 621)."""
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


def _backend_path(system: dict[str, Any], folder: Path) -> tuple[str, ...]:
    paths = _strings(system, "backend-path", folder) if "backend-path" in system else ()
    for path in paths:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise _wrong(folder, f"build-system.backend-path {path!r} leaves the source")
    return paths


def _string(system: dict[str, Any], key: str, folder: Path) -> str:
    value = system.get(key, "")
    if not isinstance(value, str):
        raise _wrong(folder, f"build-system.{key} must be a string")
    return value


def _strings(system: dict[str, Any], key: str, folder: Path) -> tuple[str, ...]:
    value = system.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(folder, f"build-system.{key} must be a list of strings")
    return tuple(value)


def _wrong(folder: Path, what: str) -> SourceError:
    return SourceError(
        f"{folder.name}/pyproject.toml: {what}", hint="the source itself is wrong: patch it, or tell upstream"
    )
