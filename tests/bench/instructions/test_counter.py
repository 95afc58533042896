"""Tests of the instruction counter, with real programs under QEMU."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from factory.bench.instructions.classes import Counts, classify
from factory.bench.instructions.counter import count_instructions
from factory.errors import CommandFailed
from factory.model.protocols import Command, Sandbox
from factory.model.target import PROFILES
from factory.stages.environments.rootfs import RootfsEnvironment
from tests.support.checkouts import ONE_PROFILE, SUM_CASES, make_checkout
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment
ONE_BY_ONE = {"QEMU_ONE_INSN_PER_TB": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops:
    """The compiled loops.c in an opened root."""

    sandbox: Sandbox
    ranges: Mapping[str, range]

    def count(
        self, function: str, scalar: int, vector: int, profile: str, variables: Mapping[str, str] | None = None
    ) -> Counts:
        counted = count_instructions(
            self.sandbox,
            ["/build/loops", str(scalar), str(vector)],
            log=MemoryLog(),
            cpu=PROFILES[profile].qemu_cpu,
            env=variables,
            ranges=[self.ranges[function]],
        )
        return classify(counted)


@pytest.fixture(scope="module")
def loops(hybrid: RootfsEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loops]:
    work = tmp_path_factory.mktemp("counting") / "work"
    work.mkdir()
    shutil.copy(Path(__file__).with_name("loops.c"), work)
    with hybrid.open(work, caches="test") as sandbox:
        sandbox.run(Command(["gcc", "-O1", "-static", "-o", "/build/loops", "/build/loops.c"]), log=MemoryLog())
        yield Loops(sandbox=sandbox, ranges=functions((work / "loops").read_bytes()))


def functions(data: bytes) -> Mapping[str, range]:
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    symbols = list(table.iter_symbols())
    return {symbol.name: range(symbol["st_value"], symbol["st_value"] + symbol["st_size"]) for symbol in symbols}


@pytest.mark.parametrize("variables", [{}, ONE_BY_ONE], ids=["by blocks", "one by one"])
def test_count_scalar_loop_is_exact(loops: Loops, variables: dict[str, str]) -> None:
    counts = loops.count("scalar_loop", 1000, 0, "rv64gc", variables)
    assert counts.by_class == {"loads": 1000, "float": 1000, "integer": 1000, "branches": 1001}
    assert (counts.by_vtype, counts.code_bytes) == ({}, 20)


@pytest.mark.parametrize("variables", [{}, ONE_BY_ONE], ids=["by blocks", "one by one"])
@pytest.mark.parametrize("profile", ["rvv128", "k1"])
def test_count_vector_loop_is_exact(loops: Loops, profile: str, variables: dict[str, str]) -> None:
    counts = loops.count("vector_loop", 1, 500, profile, variables)
    assert counts.by_class == {
        "integer": 500,
        "branches": 501,
        "vector": 1000,
        "vector loads": 500,
        "vector stores": 500,
        "vset": 1001,
    }
    assert counts.by_vtype == {"e16 mf2": 500, "e32 m2": 1500}
    assert counts.weighted == 500 + 501 + 1001 + 3 * 1000 + 500


def test_count_million_iterations_is_exact(loops: Loops) -> None:
    assert loops.count("scalar_loop", 1_000_000, 0, "rv64gc").total == 4_000_001


@pytest.mark.parametrize("profile", ["rv64gc", "k1"])
def test_count_in_window_is_that_between_two_stops(loops: Loops, profile: str) -> None:
    counts = classify(
        count_instructions(
            loops.sandbox,
            ["/build/loops", "1000", "0", "300"],
            log=MemoryLog(),
            cpu=PROFILES[profile].qemu_cpu,
            ranges=[loops.ranges["scalar_loop"]],
            windows=True,
        )
    )
    assert counts.by_class == {"loads": 300, "float": 300, "integer": 300, "branches": 301}


def test_count_failed_program_is_an_error_and_leaves_no_pipe(loops: Loops) -> None:
    with pytest.raises(CommandFailed, match="failed with exit status"):
        count_instructions(loops.sandbox, ["/build/loops", "1"], log=MemoryLog(), cpu="sifive-u54")
    assert not (loops.sandbox.work / "trace").exists()


def test_bench_instructions_counts_in_own_libraries(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    built = checkout.factory("build", "vectors-c")
    assert built.returncode == 0, built.stderr
    missing = checkout.factory("bench", "instructions", "vectors-c")
    assert missing.returncode == 3
    assert "vectors-c 1.0: no benchmark" in missing.stderr
    (checkout.root / "recipes/vectors-c/bench.py").write_text(SUM_CASES)
    plot = tmp_path / "mix.svg"
    counted = checkout.factory(
        "bench", "instructions", "vectors-c", "--profile", "rv64gc", "--json", "--plot", str(plot)
    )
    assert counted.returncode == 0, counted.stderr
    small, large = json.loads(counted.stdout)
    assert (small["case"], large["case"], small["profile"]) == ("sum 1000", "sum 3000", "rv64gc")
    # One load and one addition per value; the rest of the call is the same for both.
    for name in ("float", "loads"):
        assert large["by_class"][name] - small["by_class"][name] == 2000
    assert small["total"] == sum(small["by_class"].values()) < 1000 * 10
    shown = [
        element.text for element in ElementTree.fromstring(plot.read_text()).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"integer", "float", "loads", "branches"} <= set(shown)
    assert not list(fresh_cache.glob("scratch/bench-*"))
