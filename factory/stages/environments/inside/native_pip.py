"""pip on a native Python, as if on the riscv64 interpreter of the check's environment.

It installs the same files as pip there does. The code of pip is that of the environment's layer, not what is in the
root by now: packages can leave files in pip's place. Without `site`, none of them can add code to this process either.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path

VENV, BASE = "/opt/venv", "/usr"
# The read-only mount of the tools: factory/stages/environments/native_pip.py.
TOOLS = "/mnt"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = f"{VENV}/lib/{VERSION}/site-packages"


def request(search: list[str]) -> dict[str, object]:
    """Return the answers of the environment's Python; its path begins with `search`."""
    interpreter = {
        **dict.fromkeys(("prefix", "exec_prefix"), VENV),
        **dict.fromkeys(("base_prefix", "base_exec_prefix"), BASE),
        "platlibdir": "lib",
        "executable": f"{VENV}/bin/{VERSION}",
        "_base_executable": f"{BASE}/bin/{VERSION}",
        "path": [*search, f"{BASE}/lib/{VERSION}", PACKAGES],
    }
    return {"machine": "riscv64", "triplet": "riscv64-linux-gnu", "sys": interpreter}


def main(search: list[str]) -> None:
    """Run pip with this process's arguments."""
    sys.path.insert(0, str(Path(__file__).parent))
    machine = importlib.import_module("as_riscv64")
    sys.path.pop(0)
    machine.present(request(search))
    sys.path.insert(0, TOOLS + PACKAGES)
    # Its modules are then found in its own folder, and installed packages in the environment's.
    importlib.import_module("pip")
    sys.path.remove(TOOLS + PACKAGES)
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # With -I, Python ignores PYTHONPATH: the caller gives it as the first argument.
    main([folder for folder in sys.argv.pop(1).split(":") if folder])
