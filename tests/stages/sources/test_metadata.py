"""What a source says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import SourceError
from factory.model.artifacts import SourceTree
from factory.model.job import ProjectMetadata
from factory.stages.sources.metadata import read_project_metadata

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


def test_without_build_system_the_backend_is_setuptools(tmp_path: Path) -> None:
    metadata = read(tmp_path, core=CORE, setup="")
    assert metadata.build_backend == "setuptools.build_meta:__legacy__"
    assert metadata.build_requires == ("setuptools >= 40.8.0",)


def test_build_system_without_a_backend_is_setuptools_with_the_stated_requirements(tmp_path: Path) -> None:
    metadata = read(tmp_path, pyproject='[build-system]\nrequires = ["setuptools", "cython"]\n')
    assert metadata.build_backend == "setuptools.build_meta:__legacy__"
    assert metadata.build_requires == ("setuptools", "cython")


def test_a_project_table_is_read_where_there_is_no_pkg_info(tmp_path: Path) -> None:
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
    ],
)
def test_a_wrong_pyproject_is_the_sources_fault_and_says_so(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, pyproject=text)
    assert caught.value.message.startswith(f"{tmp_path.name}/pyproject.toml: ")
    assert expected in caught.value.message


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has neither pyproject\.toml nor setup\.py"):
        read(tmp_path)
