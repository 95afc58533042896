"""Tests of the QEMU benchmark with a small model of random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.bench.qemu.benchmark import TOOLS, Cell, QemuBenchmark
from factory.bench.qemu.llama_completion import Request
from factory.bench.qemu.model_shape import ModelShape
from factory.cli.console import Reporter
from factory.model.target import PYTHONS
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.store.store import Store
from factory.util.paths import Layout
from tests.support.checkouts import ROOT, make_cache, own_factory

# These tests need llama.cpp's programs, a real package that takes long to build.
pytestmark = [pytest.mark.main_job, pytest.mark.long]

# Blocks of Q2_K have 256 weights, so rows need at least as many.
TINY = ModelShape(
    name="tiny", layers=2, hidden=256, feed_forward=512, heads=4, key_value_heads=2, vocabulary=2048, context=2048
)
REQUEST = Request(prompt="hello", tokens=8, threads=2, seconds=60)
USER = Cell(mode="user", profile="k1", model="Q2_K")
SYSTEM = Cell(mode="system", profile="rv64gc", model="Q8_0")


@pytest.fixture(scope="module")
def tools(layout: Layout) -> Path:
    """Build the wheel with llama.cpp's programs."""
    built = own_factory("build", TOOLS)
    assert built.returncode == 0, built.stderr
    store = Store(layout.store)
    record = store.latest(TOOLS, PYTHONS[0])
    assert record is not None
    return store.wheel_path(record)


@pytest.fixture(scope="module")
def bench(tools: Path, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> QemuBenchmark:
    folder = tmp_path_factory.mktemp("bench")
    factory = Run(
        layout=Layout(make_cache(folder / "cache", layout)), recipes=RecipeSet(ROOT, SOURCE_KINDS), reporter=Reporter()
    )
    return QemuBenchmark(factory, tools, folder / "work", TINY)


def test_measure_user_mode_uses_the_variant_of_the_profile(bench: QemuBenchmark) -> None:
    timings = bench.measure(USER, REQUEST).timings
    assert timings.backend == "riscv64_v_zvfh"
    assert timings.generation.tokens == REQUEST.tokens - 1
    assert all(each.per_second for each in (timings.sampling, timings.prompt, timings.generation))


def test_measure_system_mode(bench: QemuBenchmark) -> None:
    timings = bench.measure(SYSTEM, REQUEST).timings
    assert timings.backend == "riscv64_0"
    assert timings.generation.tokens == REQUEST.tokens - 1


def test_measure_again_only_with_force(bench: QemuBenchmark) -> None:
    first = bench.measure(USER, REQUEST)
    assert bench.measure(USER, REQUEST) == first
    assert bench.measure(USER, REQUEST, force=True) != first


def test_measure_time_limit_gives_fewer_tokens(bench: QemuBenchmark) -> None:
    measured = bench.measure(USER, replace(REQUEST, tokens=400, seconds=8))
    assert 0 < measured.timings.generation.tokens < 399
