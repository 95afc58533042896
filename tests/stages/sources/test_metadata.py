"""Metadata of sources."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.model.source import Overlay
from factory.stages.sources.fetch import fetch
from factory.stages.sources.metadata import read_project_metadata, read_without_fetch
from factory.stages.sources.prepare import lay_over
from factory.stages.sources.pypi import PypiSource
from tests.support.archives import file_entry, sdist, special_entry, tar_bytes
from tests.support.logs import MemoryLog

CORE = """\
Metadata-Version: 2.4
Name: Spam
Version: 1.0
Requires-Python: >=3.9
License-Expression: MIT
Requires-Dist: eggs>=2
Requires-Dist: ham; extra == "all"

Long text: with a colon.
"""


def read(folder: Path, **files: str) -> ProjectMetadata:
    for name, text in files.items():
        (folder / {"core": "PKG-INFO", "pyproject": "pyproject.toml", "setup": "setup.py"}[name]).write_text(text)
    return read_project_metadata(SourceTree(path=folder, sha256=""))


def test_pkg_info_and_build_system_are_read(tmp_path: Path) -> None:
    system = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "local"\nbackend-path = ["tools"]\n'
    assert read(tmp_path, core=CORE, pyproject=system) == ProjectMetadata(
        name="Spam",
        version="1.0",
        build_backend="local",
        build_requires=("hatchling",),
        backend_path=("tools",),
        requires_python=">=3.9",
        dependencies=("eggs>=2", 'ham; extra == "all"'),
        license="MIT",
    )


def test_missing_build_system_means_setuptools(tmp_path: Path) -> None:
    metadata = read(tmp_path, core=CORE, setup="")
    assert metadata.build_backend == "setuptools.build_meta:__legacy__"
    assert metadata.build_requires == ("setuptools >= 40.8.0",)


def test_build_system_without_backend_means_setuptools(tmp_path: Path) -> None:
    metadata = read(tmp_path, pyproject='[build-system]\nrequires = ["setuptools", "cython"]\n')
    assert metadata.build_backend == "setuptools.build_meta:__legacy__"
    assert metadata.build_requires == ("setuptools", "cython")


def test_project_table_is_read_without_pkg_info(tmp_path: Path) -> None:
    text = '[project]\nname = "spam"\ndynamic = ["version"]\ndependencies = ["eggs"]\nlicense = {text = "MIT"}\n'
    metadata = read(tmp_path, pyproject=text)
    assert (metadata.name, metadata.version) == ("spam", None)
    assert (metadata.dependencies, metadata.license) == (("eggs",), "MIT")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[build-system]\n", "build-system.requires must be a list of strings"),
        ("[build-system]\nrequires = [1]\n", "build-system.requires must be a list of strings"),
        ("[build-system]\nrequires = []\nbuild-backend = 1\n", "build-system.build-backend must be a string"),
        (
            "[build-system]\nrequires = []\nbackend-path = ['../x']\n",
            "build-system.backend-path '../x' leaves the source",
        ),
        ("[build-system\n", "Expected ']'"),
        ("build-system = 1\n", "build-system must be a table"),
        ("project = 1\n", "project must be a table"),
        ("[project]\nname = 1\n", "project.name must be a string"),
        ("[project]\nversion = 1.0\n", "project.version must be a string"),
        ("[project]\nrequires-python = 3\n", "project.requires-python must be a string"),
        ("[project]\ndependencies = 'x'\n", "project.dependencies must be a list of strings"),
        ("[project]\nlicense = 1\n", "project.license must be a table"),
        ("[project]\nlicense = {text = 1}\n", "project.license.text must be a string"),
    ],
)
def test_invalid_pyproject_is_reported(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, pyproject=text)
    assert caught.value.message.startswith(f"{tmp_path.name}/pyproject.toml: ")
    assert expected in caught.value.message


def test_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has neither pyproject\.toml nor setup\.py"):
        read(tmp_path)


def cached(cache: Path, content: bytes, suffix: str = "tar.gz") -> PypiSource:
    """Return the pin of a source distribution, which is put into the cache."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = cache / sha256[:2] / sha256 / f"spam-1.0.{suffix}"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return PypiSource(project="spam", version="1.0", sha256=sha256)


def test_metadata_from_archive_equals_that_of_its_tree(tmp_path: Path, log: MemoryLog) -> None:
    source = cached(tmp_path, sdist())
    tree = fetch(source, tmp_path, tmp_path / "out", log)
    assert read_without_fetch(source, tmp_path, log) == read_project_metadata(tree)


def test_metadata_longer_than_a_header_is_read(tmp_path: Path, log: MemoryLog) -> None:
    core = f"{CORE}{'x' * 3_000_000}\n".encode()
    source = cached(tmp_path, tar_bytes([file_entry("s/PKG-INFO", core), file_entry("s/setup.py")]))
    metadata = read_without_fetch(source, tmp_path, log)
    assert metadata is not None
    assert metadata.name == "Spam"


def test_metadata_behind_a_link_needs_the_tree(tmp_path: Path, log: MemoryLog) -> None:
    entries = [file_entry("s/setup.py"), file_entry("s/info", CORE.encode())]
    source = cached(tmp_path, tar_bytes([*entries, special_entry("s/PKG-INFO", tarfile.SYMTYPE, "info")]))
    assert read_without_fetch(source, tmp_path, log) is None


def test_metadata_of_hostile_archive_is_refused(tmp_path: Path, log: MemoryLog) -> None:
    """The checks of unpacking hold for reading too."""
    source = cached(tmp_path, tar_bytes([file_entry("s/PKG-INFO", CORE.encode()), file_entry("../x")]))
    with pytest.raises(SourceError, match=r"the member '\.\./x' has '\.\.' in its name"):
        read_without_fetch(source, tmp_path, log)


def test_metadata_of_another_project_is_refused(tmp_path: Path, log: MemoryLog) -> None:
    source = replace(cached(tmp_path, sdist()), project="eggs")
    with pytest.raises(SourceError, match=r"eggs 1\.0: .*metadata has name 'spam', the recipe 'eggs'"):
        read_without_fetch(source, tmp_path, log)


@pytest.mark.parametrize("names", [("first",), ("first", "second"), ("second", "first"), ("second",)])
def test_metadata_from_overlay_equals_that_of_its_tree(tmp_path: Path, log: MemoryLog, names: tuple[str, ...]) -> None:
    """A pyproject.toml invalidates PKG-INFO below it, but not above it."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "first/pyproject.toml").write_text('[project]\nname = "part"\nversion = "2"\n')
    (tmp_path / "second/PKG-INFO").write_text("Metadata-Version: 2.4\nName: part\nVersion: 2\nRequires-Dist: ham\n")
    overlay = Overlay(project="part", version="2", folders=tuple(tmp_path / name for name in names))
    source = replace(cached(tmp_path / "cache", sdist()), overlay=overlay)
    tree = fetch(source, tmp_path / "cache", tmp_path / "out", log)
    lay_over(source, tree, log)
    expected = read_project_metadata(tree) if "first" in names else None
    assert read_without_fetch(source, tmp_path / "cache", log) == expected
