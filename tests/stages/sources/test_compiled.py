"""Sources with code to compile."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.model.artifacts import SourceTree
from factory.stages.sources.compiled import compiled_source


def source(folder: Path, *files: str) -> SourceTree:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return SourceTree(path=folder, sha256="")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["yaml/_yaml.pyx", "yaml/__init__.py"], "yaml/_yaml.pyx"),
        (["src/speedups.c", "setup.py"], "src/speedups.c"),
        (["src/fft.F90"], "src/fft.F90"),
        (["Cargo.toml", "src/lib.rs"], "src/lib.rs"),
        (["src/lib.rs"], ""),
        (["include/api.h", "setup.py"], ""),
        (["tests/extension/module.c", "docs/example.cpp", "examples/a.c", "benchmarks/b.c"], ""),
        ([".github/x.c"], ""),
        ([], ""),
    ],
)
def test_compiled_source_is_found(tmp_path: Path, files: list[str], found: str) -> None:
    assert compiled_source(source(tmp_path, *files)) == found
