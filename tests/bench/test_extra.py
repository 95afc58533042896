"""Tests of optional dependencies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from factory.bench.extra import require_library
from factory.bench.qemu.benchmark import Cell, measure
from factory.bench.qemu.llama_completion import Request
from factory.cli.console import Reporter
from factory.errors import PrerequisiteMissing
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout
from tests.support.checkouts import ROOT

CELL = Cell(mode="user", profile="k1", model="Q2_K")
REQUEST = Request(prompt="hello", tokens=8, threads=2, seconds=60)


def test_require_library_installed_passes() -> None:
    require_library("gguf", "models")


def test_measure_without_gguf_names_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check comes before the long build of the programs."""
    monkeypatch.setitem(sys.modules, "gguf", None)
    run = Run(layout=Layout(tmp_path), recipes=RecipeSet(ROOT, SOURCE_KINDS), reporter=Reporter())
    with pytest.raises(PrerequisiteMissing, match=r"gguf is not installed\n  hint: pip install '.*\[bench\]'"):
        measure([CELL], REQUEST, run, force=False)
