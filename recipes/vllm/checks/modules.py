"""Modules of the wheel: the choice among them, and runs with each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

# The variable that forces a module, by its ISA.
FORCE = "VLLM_CPU_RISCV_ISA"
LOADED = re.compile(r"/vllm/(_C\w*)\.abi3\.so$", re.MULTILINE)
SCALAR = "scalar"
# The checks of operators take those that a module has: without these, some would compare nothing.
OPERATORS = frozenset({"cpu_gemm_wna16", "int4_scaled_mm_cpu", "cpu_fused_moe"})
VECTOR_OPERATORS = frozenset({"cpu_prepack_wna16_weight", "rvv_pack_linear_weight", "rvv_linear"})


def load() -> str:
    """Load the kernels as vLLM does; returns the ISA of the module that is in the process."""
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    loaded = set(LOADED.findall(Path("/proc/self/maps").read_text()))
    assert len(loaded) == 1, f"modules in the process: {sorted(loaded)}"
    isa = loaded.pop().removeprefix("_C").removeprefix("_") or SCALAR
    require_operators(isa)
    return isa


def require_operators(isa: str) -> None:
    """Require the operators that the loaded module has to have."""
    import torch

    operators = torch.ops._C
    wanted = OPERATORS if isa == SCALAR else OPERATORS | VECTOR_OPERATORS
    missing = sorted(each for each in wanted if not hasattr(operators, each))
    assert not missing, f"{isa} lacks {', '.join(missing)}"
    assert operators.cpu_attn_has_isa("rvv") == (isa != SCALAR), f"{isa}: attention by the wrong kernels"


def runnable() -> Sequence[str]:
    """Return the ISAs of the modules that this CPU can run, the best one first.

    All modules are in the wheel, and those that the CPU cannot run are refused.
    """
    from vllm import _riscv_cpu
    from vllm.platforms.riscv import MODULES, choose_module

    vlen, extensions = _riscv_cpu.features()
    found = []
    for module in MODULES:
        assert find_spec(f"vllm.{module.name}") is not None, f"the wheel lacks vllm.{module.name}"
        try:
            choose_module(vlen, extensions, module.isa)
        except ValueError:
            assert module.missing(vlen, extensions), f"{module.isa} is refused for no reason"
        else:
            found.append(module.isa)
    return found


def refused() -> Sequence[str]:
    """Return the ISAs of the modules that this CPU cannot run.

    Each is refused with what is missing.
    """
    from vllm import _riscv_cpu
    from vllm.platforms.riscv import MODULES, load_kernels

    vlen, extensions = _riscv_cpu.features()
    found = []
    for module in MODULES:
        missing = module.missing(vlen, extensions)
        if not missing:
            continue
        reason = ""
        try:
            load_kernels(module.isa)
        except ValueError as error:
            reason = str(error)
        assert reason, f"{module.isa} was loaded without {', '.join(missing)}"
        assert all(each in reason for each in missing), f"{module.isa} is refused without its reason: {reason}"
        found.append(module.isa)
    assert not LOADED.search(Path("/proc/self/maps").read_text()), "a refused module is in the process"
    return found


def run_with(isa: str, run: Callable[[], Mapping[str, object]]) -> Mapping[str, object]:
    """Run a function with a forced module in a process of its own; returns its result.

    The process is a copy of this one, which must not have loaded a module: importing torch again takes half a minute
    under emulation.

    Raises:
        ChildProcessError: it did not return a result.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        process = os.fork()
        if process == 0:
            _answer(isa, run, answer)
        _, status = os.waitpid(process, 0)
        if not answer.is_file():
            raise ChildProcessError(f"exit status {os.waitstatus_to_exitcode(status)}")
        result: Mapping[str, object] = json.loads(answer.read_text())
    return result


def _answer(isa: str, run: Callable[[], Mapping[str, object]], answer: Path) -> NoReturn:
    """Write the result of a function with a module, and end this process."""
    try:
        os.environ[FORCE] = isa
        loaded = load()
        assert loaded == isa, f"{isa} was forced, and {loaded} was loaded"
        answer.write_text(json.dumps(run()))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
