"""Test of the attention kernels that our patches add to vLLM, at each vector length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from factory.model.protocols import Command, Sandbox
from factory.model.target import PROFILES
from factory.stages.environments.rootfs import RootfsEnvironment
from tests.support.logs import MemoryLog
from tests.support.patches import prepare_sources

pytestmark = pytest.mark.environment
PATCH = "vllm/0.33.0/0021-rvv-attention-of-any-vlen.patch"
HEADER = "cpu_attn_rvv_kernels.hpp"
PROGRAM = Path(__file__).with_name("vllm_attention.cpp")
FLAGS = {"plain": "-march=rv64gcv", "half": "-march=rv64gcv_zvfh"}


@pytest.fixture(scope="module")
def sandbox(hybrid: RootfsEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    work = tmp_path_factory.mktemp("attention") / "work"
    prepare_sources(work, PROGRAM, PATCH, HEADER)
    with hybrid.open(work, caches="test") as opened:
        for name, flag in FLAGS.items():
            compiler = ["g++", "-std=c++20", "-O2", "-Wall", "-Werror", "-static", flag]
            opened.run(Command([*compiler, "-o", f"/build/{name}", f"/build/{PROGRAM.name}"]), log=MemoryLog())
        yield opened


@pytest.mark.parametrize(
    ("program", "profiles"),
    [("plain", ("rvv128", "k1", "vlen1024")), ("half", ("k1", "vlen512", "vlen1024"))],
    ids=["plain", "half"],
)
def test_attention_kernels_at_each_vlen_equal_float64(sandbox: Sandbox, program: str, profiles: Sequence[str]) -> None:
    for profile in profiles:
        log = MemoryLog()
        sandbox.run(Command([f"/build/{program}"], cpu=PROFILES[profile].qemu_cpu), log=log)
        assert "ok: 0 of " in log.text
