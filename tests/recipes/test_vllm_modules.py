"""The choice of vLLM's module for a CPU, as our patch makes it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest

from tests.support.patches import added_file

# Loads kernels: names of the wheel's modules, VLEN with extensions, and the forced ISA -> loaded files.
Load = Callable[..., list[str]]
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


@pytest.fixture
def load(riscv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that loads kernels on a CPU, of a wheel with some modules.

    It returns the names of the files.

    vLLM loads them several times: two modules in a process are an error. Without a CPU the module that probes it is
    missing.
    """

    def loaded(files: set[str], cpu: tuple[int, set[str]] | None = None, wanted: str | None = None) -> list[str]:
        found: list[str] = []
        torch, vllm = ModuleType("torch"), ModuleType("vllm")
        torch.ops = SimpleNamespace(load_library=found.append)  # type: ignore[attr-defined]
        cpus = iter([cpu, (1024, BF16)])  # later it is bound to the wider cores
        probe = SimpleNamespace(features=lambda: next(cpus)) if cpu is not None else None
        for name, module in {"torch": torch, "vllm": vllm, "vllm._riscv_cpu": probe}.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(riscv, "_file", lambda module: module.name if module.name in files else None)
        monkeypatch.setattr(riscv, "_loaded", None)
        riscv.load_kernels(wanted)
        riscv.load_kernels(wanted)
        return found

    return loaded


def test_kernels_stay_when_the_process_is_bound_to_other_cores(load: Load) -> None:
    assert load({"_C", "_C_RVV256_ZVFH", "_C_RVV256_BF16"}, (256, ZVFH)) == ["_C_RVV256_ZVFH"]


def test_missing_module_is_passed_over(load: Load) -> None:
    assert load({"_C", "_C_RVV128", "_C_RVV256"}, (256, ZVFH)) == ["_C_RVV256"]
    assert load({"_C"}, (256, ZVFH)) == ["_C"]


def test_missing_probe_takes_the_module_without_vectors(load: Load) -> None:
    assert load({"_C", "_C_RVV128"}) == ["_C"]
    with pytest.raises(ValueError, match="reports no v, VLEN 128"):
        load({"_C", "_C_RVV128"}, wanted="RVV128")


def test_forced_module_that_is_missing_is_refused(load: Load) -> None:
    with pytest.raises(ValueError, match="VLLM_CPU_RISCV_ISA=RVV256: the modules are RVV128, scalar"):
        load({"_C", "_C_RVV128"}, (256, ZVFH), wanted="RVV256")
    with pytest.raises(ImportError, match="no module"):
        load(set(), (256, ZVFH))
