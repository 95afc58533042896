"""pip for a check's root on a native Python: same files, a fifth of the time.

The native Python and the pip of the environment's layer are mounted read-only, for commands that ask for them alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from factory.host.native_programs import LOADERS
from factory.model.protocols import INPUTS, Command
from factory.stages.environments import inside

# An empty folder of Debian's base. See `inside/native_pip.py`.
MOUNT = PurePosixPath("/mnt")
SCRIPTS = ("as_riscv64.py", "native_pip.py")
INSIDE = Path(inside.__file__).parent
MACHINE = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePip:
    """A native Python of the version `python`, and pip: the trees that have them."""

    trees: tuple[Path, ...]
    python: str

    def give(self, inputs: Path) -> None:
        """Give the scripts to the root's commands."""
        for name in SCRIPTS:
            shutil.copy(INSIDE / name, inputs)

    def argv(self, command: Command) -> Sequence[str]:
        """Return the command line of a command of pip, on the native Python."""
        triplet, loader = LOADERS[MACHINE]
        native = MOUNT / "opt/native/usr"
        libraries = native / "lib" / triplet
        start = [str(libraries / loader), "--library-path", str(libraries), str(native / f"bin/python{self.python}")]
        return [*start, "-I", "-S", f"{INPUTS}/native_pip.py", command.env.get("PYTHONPATH", ""), *command.argv[1:]]
