"""Test of Clang's OpenMP regions on libgomp, as our patch of vLLM maps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.model.protocols import Command
from factory.stages.environments.base import RootRequest
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import hybrid_root
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.patches import prepare_sources

pytestmark = pytest.mark.environment
PATCH = "vllm/0.33.0/0004-openmp-on-libgomp.patch"
MAPPING = "openmp_on_libgomp.cpp"
PROGRAM = Path(__file__).with_name("vllm_openmp.cpp")
BUILD = f"""
set -eu
cd /build
gcc_headers=$(gcc -print-file-name=include)
for file in {PROGRAM.name} {MAPPING}; do
    clang++ -std=c++20 -O2 -fopenmp -idirafter "$gcc_headers" -Wno-ignored-attributes -c "$file" -o "$file.o"
done
g++ -static-libgcc {PROGRAM.name}.o {MAPPING}.o -lgomp -o program
"""


def test_clang_loops_on_libgomp_run_each_iteration_once(layout: Layout, tmp_path: Path) -> None:
    root = hybrid_root(layer_store(layout), RootRequest(toolchain="clang"))
    work = tmp_path / "work"
    prepare_sources(work, PROGRAM, PATCH, MAPPING)
    log = MemoryLog()
    with RootfsEnvironment(root=root, layout=layout).open(work, caches="test") as sandbox:
        sandbox.run(Command(["sh", "-c", BUILD]), log=log)
        sandbox.run(Command(["/build/program"]), log=log)
    assert "wrong: 0\n" in log.text
