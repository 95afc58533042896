"""Test of the module that our patch of vLLM adds to ask for the CPU's extensions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.model.protocols import Command, Sandbox
from factory.model.target import PROFILES
from factory.stages.environments.base import RootRequest
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import hybrid_root
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.patches import prepare_sources

pytestmark = pytest.mark.environment
PATCH = "vllm/0.33.0/0005-a-module-for-each-cpu.patch"
MODULE = "riscv_cpu.cpp"
KERNEL = Path(__file__).with_name("vllm_hwprobe.c")
BUILD = f"""
set -eu
cd /build
headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
clang++ -std=c++20 -O2 -Wall -Werror -fPIC -shared -I "$headers" {MODULE} -o _riscv_cpu.so
clang -O2 -fPIC -shared {KERNEL.name} -o kernel.so
"""
ASK = ["python3", "-c", "import _riscv_cpu; vlen, found = _riscv_cpu.features(); print('found', vlen, *sorted(found))"]
VECTORS = "0x4"
BF16 = "zvfbfmin zvfbfwma"


@pytest.fixture(scope="module")
def sandbox(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    work = tmp_path_factory.mktemp("cpu") / "work"
    prepare_sources(work, KERNEL, PATCH, MODULE)
    root = hybrid_root(layer_store(layout), RootRequest(toolchain="clang"))
    with RootfsEnvironment(root=root, layout=layout).open(work, caches="test") as opened:
        opened.run(Command(["sh", "-c", BUILD]), log=MemoryLog())
        yield opened


def ask(sandbox: Sandbox, profile: str, **kernel: str) -> str:
    """Return VLEN and the extensions on a profile; `EXTENSIONS` is the kernel's answer."""
    log = MemoryLog()
    sandbox.run(Command(ASK, env=kernel, cpu=PROFILES[profile].qemu_cpu), log=log)
    return next(line.removeprefix("found ") for line in log.text.splitlines() if line.startswith("found "))


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        ("rv64gc", "0"),
        ("rvv128", "128 v zfhmin"),
        ("k1", "256 v zfhmin zvfh zvfhmin"),
        ("vlen1024", f"1024 v zfhmin {BF16} zvfh zvfhmin"),
    ],
)
def test_cpu_reports_vlen_and_extensions(sandbox: Sandbox, profile: str, found: str) -> None:
    assert ask(sandbox, profile) == found


def test_cpu_without_hwprobe_has_no_vectors(sandbox: Sandbox) -> None:
    """Kernels before 6.5 lack it, and sandboxes refuse it."""
    assert ask(sandbox, "vlen1024", LD_PRELOAD="/build/kernel.so") == "0"


def test_cpu_whose_vectors_trap_has_none(sandbox: Sandbox) -> None:
    """The kernel reports them also where the process may not use them."""
    assert ask(sandbox, "rv64gc", LD_PRELOAD="/build/kernel.so", EXTENSIONS=VECTORS) == "0"


def test_cpu_runs_zvfbfwma_unreported(sandbox: Sandbox) -> None:
    kernel = {"LD_PRELOAD": "/build/kernel.so", "EXTENSIONS": VECTORS}
    assert ask(sandbox, "vlen1024", **kernel) == f"1024 v {BF16}"
    assert ask(sandbox, "k1", **kernel) == "256 v"
