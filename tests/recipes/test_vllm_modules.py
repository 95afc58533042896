"""The choice of vLLM's module for a CPU, as our patch makes it."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.support.patches import added_file

PATCH = "vllm/0.33.0/0005-a-module-for-each-cpu.patch"
ZVFH = {"v", "zvfh", "zvfhmin", "zfhmin"}
BF16 = ZVFH | {"zvfbfmin", "zvfbfwma"}


@pytest.fixture
def riscv(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("riscv")
    monkeypatch.setitem(sys.modules, "riscv", module)  # dataclasses look there
    exec(compile(added_file(PATCH, "riscv.py"), "riscv.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    ("vlen", "extensions", "isa"),
    [
        (0, set(), "scalar"),
        (0, {"zfhmin"}, "scalar"),
        (64, {"v"}, "scalar"),
        (128, {"v"}, "RVV128"),
        (128, {"v", "zvfhmin"}, "RVV128"),
        (128, ZVFH, "RVV128_ZVFH"),
        (128, BF16, "RVV128_ZVFH"),
        (256, {"v"}, "RVV256"),
        (256, ZVFH, "RVV256_ZVFH"),
        (256, BF16, "RVV256_BF16"),
        (256, BF16 - {"zvfbfwma"}, "RVV256_ZVFH"),
        (1024, {"v"}, "RVV256"),
        (1024, BF16, "RVV256_BF16"),
    ],
)
def test_cpu_gets_its_best_module(riscv: ModuleType, vlen: int, extensions: set[str], isa: str) -> None:
    assert riscv.choose_module(vlen, extensions).isa == isa


def test_forced_module_is_loaded_where_it_runs(riscv: ModuleType) -> None:
    assert riscv.choose_module(256, BF16, "RVV128").name == "_C_RVV128"
    assert riscv.choose_module(256, BF16, "scalar").name == "_C"


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [("RVV256_ZVFH", "zvfh, VLEN 256"), ("RVV256", "VLEN 256"), ("rvv128", "the modules are RVV256_BF16, ")],
)
def test_forced_module_that_cannot_run_is_refused(riscv: ModuleType, wanted: str, lacking: str) -> None:
    with pytest.raises(ValueError, match=f"VLLM_CPU_RISCV_ISA={wanted}: .*{lacking}"):
        riscv.choose_module(128, {"v", "zfhmin"}, wanted)
