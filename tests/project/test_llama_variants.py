"""Which of llama.cpp's CPU variants its patched detection takes, on emulated CPUs and on machines that QEMU lacks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from factory.model.protocols import Command
from factory.model.recipe import Recipe
from factory.model.target import BASELINE_CPU, PROFILES
from factory.recipes.loader import load_recipes
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.main_job

ROOT = Path(__file__).parents[2]
DEFINES: Mapping[str, tuple[str, ...]] = {
    "riscv64_0": (),
    "riscv64_v": ("-DGGML_USE_RVV",),
    "riscv64_v_zvfh": ("-DGGML_USE_RVV", "-DGGML_USE_ZVFH"),
}
# Bits of the key IMA_EXT_0.
V, ZFHMIN, ZVFH = 1 << 2, 1 << 28, 1 << 30
THEAD = 0x5B7
# Each machine's mvendorid, marchid and extensions -> the variants that may run there.
MACHINES = {
    "SpacemiT's K1, with RVV 1.0": ((0x710, 0x8000000058000001, V | ZFHMIN | ZVFH), set(DEFINES)),
    "T-Head's C908, with RVV 1.0": ((THEAD, 0x8000000009140D00, V), {"riscv64_0", "riscv64_v"}),
    "T-Head's C920 of the SG2042, whose vectors Linux does not report as V": ((THEAD, 0, 0), {"riscv64_0"}),
    "the same with a vendor's kernel that does": ((THEAD, 0, V), {"riscv64_0"}),
    "the same with everything claimed": ((THEAD, 0, V | ZFHMIN | ZVFH), {"riscv64_0"}),
    "cores that differ, all with V": ((2**64 - 1, 2**64 - 1, V), {"riscv64_0", "riscv64_v"}),
}
ASK = """
import json, subprocess, sys
machines, variants = json.loads(sys.argv[1])
def taken(words):
    return [name for name in variants if int(subprocess.check_output(["./" + name, *words])) > 0]
json.dump({name: taken(words) for name, words in machines.items()}, open("taken.json", "w"))
"""


@pytest.fixture(scope="module")
def work(layout: Layout, hybrid: RootfsEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the detection of each variant as a program."""
    folder, log = tmp_path_factory.mktemp("variants"), MemoryLog()
    source = fetch(llama().source, layout.downloads, folder / "src", log)
    patches.apply(patches.select(ROOT / "patches", llama().source), source, log)
    shutil.copy(Path(__file__).with_name("scores.cpp"), folder)
    ggml = source.path.relative_to(folder) / "vendor/llama.cpp/ggml"
    with hybrid.open(folder, caches="test") as sandbox:
        for variant, defines in DEFINES.items():
            includes = [f"-I{ggml}/src", f"-I{ggml}/include"]
            sandbox.run(Command(["g++", "-std=c++17", *defines, *includes, "scores.cpp", "-o", variant]), log=log)
    return folder


def llama() -> Recipe:
    return load_recipes(ROOT / "recipes", SOURCE_KINDS)["llama-cpp-python"]


def taken(
    hybrid: RootfsEnvironment, work: Path, machines: Mapping[str, list[str]], cpu: str = BASELINE_CPU
) -> dict[str, set[str]]:
    """Return the variants with a score above 0, for each machine."""
    with hybrid.open(work, caches="test") as sandbox:
        sandbox.run(Command(["python3", "-c", ASK, json.dumps([machines, list(DEFINES)])], cpu=cpu), log=MemoryLog())
    return {name: set(found) for name, found in json.loads((work / "taken.json").read_text()).items()}


def test_draft_vectors_are_never_taken_for_rvv(hybrid: RootfsEnvironment, work: Path) -> None:
    asked = {name: [hex(value) for value in probed] for name, (probed, _) in MACHINES.items()}
    assert taken(hybrid, work, asked) == {name: expected for name, (_, expected) in MACHINES.items()}


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("thead-c906", {"riscv64_0"}),
        (PROFILES["rv64gc"].qemu_cpu, {"riscv64_0"}),
        (PROFILES["rvv128"].qemu_cpu, {"riscv64_0", "riscv64_v"}),
        (PROFILES["k1"].qemu_cpu, set(DEFINES)),
    ],
)
def test_emulated_cpus_get_what_they_have(hybrid: RootfsEnvironment, work: Path, cpu: str, expected: set[str]) -> None:
    assert taken(hybrid, work, {"this": []}, cpu) == {"this": expected}
