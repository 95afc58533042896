"""A small model with random weights runs in both modes of QEMU, and what was measured is not measured again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.bench.qemu.benchmark import TOOLS, Bench, Cell
from factory.bench.qemu.llama_completion import Request
from factory.bench.qemu.model_shape import ModelShape
from factory.cli.console import Reporter
from factory.model.target import PYTHONS
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.store.store import Store
from factory.util.paths import Layout
from tests.support.checkouts import ROOT, make_cache, own_factory

# It needs llama.cpp's programs, a real package that takes long to build.
pytestmark = [pytest.mark.main_job, pytest.mark.long]

# Rows of at least 256 weights, which blocks of Q2_K have.
TINY = ModelShape(
    name="tiny", layers=2, hidden=256, feed_forward=512, heads=4, key_value_heads=2, vocabulary=2048, context=2048
)
REQUEST = Request(prompt="hello", tokens=8, threads=2, seconds=60)
USER = Cell(mode="user", profile="k1", model="Q2_K")
SYSTEM = Cell(mode="system", profile="rv64gc", model="Q8_0")


@pytest.fixture(scope="module")
def tools(layout: Layout) -> Path:
    """The wheel with llama.cpp's programs."""
    built = own_factory("build", TOOLS)
    assert built.returncode == 0, built.stderr
    store = Store(layout.store)
    record = store.latest(TOOLS, PYTHONS[0])
    assert record is not None
    return store.wheel_path(record)


@pytest.fixture(scope="module")
def bench(tools: Path, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    factory = Run(layout=Layout(make_cache(folder / "cache", layout)), recipes=RecipeSet(ROOT), reporter=Reporter())
    return Bench(factory, tools, folder / "work", TINY)


def test_a_model_runs_in_user_mode_on_the_variant_for_its_cpu(bench: Bench) -> None:
    timings = bench.measured(USER, REQUEST).timings
    assert timings.backend == "riscv64_v_zvfh"
    assert timings.generation.tokens == REQUEST.tokens - 1
    assert all(each.rate for each in (timings.sampling, timings.prompt, timings.generation))


def test_a_model_runs_in_system_mode(bench: Bench) -> None:
    timings = bench.measured(SYSTEM, REQUEST).timings
    assert timings.backend == "riscv64_0"
    assert timings.generation.tokens == REQUEST.tokens - 1


def test_what_was_measured_is_measured_again_only_on_request(bench: Bench) -> None:
    first = bench.measured(USER, REQUEST)
    assert bench.measured(USER, REQUEST) == first
    assert bench.measured(USER, REQUEST, again=True) != first


def test_where_the_time_is_over_fewer_tokens_are_counted(bench: Bench) -> None:
    measured = bench.measured(USER, replace(REQUEST, tokens=400, seconds=8))
    assert 0 < measured.timings.generation.tokens < 399
