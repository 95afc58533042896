"""Modules of the wheel: the choice among them, and runs with each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

# The variable that forces a module, by its ISA.
FORCE = "VLLM_CPU_RISCV_ISA"
LOADED = re.compile(r"/vllm/(_C\w*)\.abi3\.so$", re.MULTILINE)


def load() -> str:
    """Load the kernels as vLLM does; returns the ISA of the module that is in the process."""
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    loaded = set(LOADED.findall(Path("/proc/self/maps").read_text()))
    assert len(loaded) == 1, f"modules in the process: {sorted(loaded)}"
    return loaded.pop().removeprefix("_C").removeprefix("_") or "scalar"


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


def run_with(isa: str, size: str) -> dict[str, object]:
    """Run the checks of a size with a forced module in a process of its own; returns its result.

    Raises:
        subprocess.CalledProcessError: the checks fail.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        environment = {**os.environ, FORCE: isa, "PYTHONPATH": str(Path(__file__).parent.parent)}
        subprocess.run([sys.executable, "-m", "checks", size, str(answer)], check=True, env=environment)
        result: dict[str, object] = json.loads(answer.read_text())
    assert result["module"] == isa, f"{isa} was forced, and {result['module']} was loaded"
    return result
