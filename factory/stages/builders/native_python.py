"""Native Python of a build: build backends and build scripts run on it, off QEMU.

In hybrid roots the virtual environment's interpreter is a launcher. It starts an x86-64 Python of the same version,
which answers as the riscv64 one (`inside/native_python.py` says how) and gives way to it for compiled modules. So a
wheel has the same bytes, and a start takes a tenth of the time. crossenv does the first half of this for
cross-compiling; it has no way back for a build that imports compiled code.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from factory.errors import BuildFailed
from factory.host.native_programs import uses_fused_arithmetic
from factory.model.protocols import BUILD, INPUTS, Command
from factory.stages.builders.base import UNWRITTEN, Build

X86_64, RISCV64 = "x86-64", "riscv64"
VENV = PurePosixPath("/build/venv")
INSIDE = Path(__file__).parent / "inside"
LAUNCHER, STARTER = "python-launcher", "native_python.py"
# In the job's folder: the environment has the launcher; the job needs the riscv64 Python.
MARKER = "native-python"
GIVEN_UP = "riscv64-python"
# In the build's folder: a process that had to start again and could not says why. See STARTER.
NOTE = "needs-riscv64-python"
NOTE_LIMIT = 500
# One process of the native Python: every program of the root that a script starts runs under QEMU.
PREPARE = f"""
import os
native, version = os.sys.argv[1:]
# Another build of Python, such as a newer one from a layer made later, would answer for itself.
own = os.sys.version.replace("(", ",").replace(")", ",").split(",")
with open("/usr/bin/python" + version, "rb") as file:
    program = file.read()
if not all(part.strip().encode() in program for part in own):
    print("without the native Python, since the riscv64 one is another build than", os.sys.version)
    os.sys.exit()
os.chdir({str(VENV)!r})
os.mkdir("native")
for name in ("python", "python3", "python" + version):
    os.symlink(native, "native/" + name)
os.symlink("/usr/bin/python" + version, "riscv64")

def copy(name, to, mode=0o644):
    with open({str(INPUTS)!r} + "/" + name, "rb") as file, open(to, "wb") as copied:
        copied.write(file.read())
    os.chmod(to, mode)

packages = "lib/python" + version + "/site-packages/"
copy({STARTER!r}, packages + "_{STARTER}")
# Among the files of its kind, the first by name: others may ask for the platform.
with open(packages + "00-native-python.pth", "w") as file:
    file.write("import _{STARTER.removesuffix(".py")}\\n")
os.remove("bin/python")
copy({LAUNCHER!r}, "bin/python", 0o755)
open("{BUILD}/{MARKER}", "w").close()
"""
SET_UP = '''native=/opt/native/usr/bin/python$2; [ ! -x "$native" ] || exec "$native" -ISc "$1" "$native" "$2"'''


class NeedsRiscv64Python(BuildFailed):
    """A build imports compiled code in a process that has changed something already.

    The job starts over, on the riscv64 Python: the process may have ended in the middle of a file.
    """


def set_up(build: Build) -> None:
    """Put the launcher into a new virtual environment, where the root has a native Python."""
    (build.folder / MARKER).unlink(missing_ok=True)
    for name in (MARKER, NOTE):  # of an interrupted run
        build.outputs.remove(name)
    if build.recipe.build.emulated_python or (build.folder / GIVEN_UP).exists():
        return
    if not uses_fused_arithmetic():
        build.log.write("# on the riscv64 Python, since math.sin would round otherwise: no FMA or AVX2 here\n")
        return
    for name in (LAUNCHER, STARTER):
        shutil.copy(INSIDE / name, build.sandbox.inputs / name)
    build.sandbox.run(
        Command(["sh", "-c", SET_UP, "set-up", PREPARE, build.python], cwd=UNWRITTEN, network=True), log=build.log
    )
    if build.outputs.has(MARKER):
        (build.folder / MARKER).touch()


def machine(build: Build) -> str:
    """Return the machine of the Python that runs the build's backend."""
    return X86_64 if (build.folder / MARKER).exists() else RISCV64


def require_no_change(build: Build) -> None:
    """Require that no process of the last command had to ask for the riscv64 Python.

    Raises:
        NeedsRiscv64Python: one had, so what the command made does not count.
    """
    if machine(build) == RISCV64 or not build.outputs.has(NOTE):
        return
    reason = build.outputs.read_text(NOTE)[:NOTE_LIMIT].strip()
    build.log.write(f"# once more, on the riscv64 Python: {reason}\n")
    (build.folder / GIVEN_UP).touch()
    raise NeedsRiscv64Python(f"{build.recipe.label}: needs the riscv64 Python: {reason}")


def must_start_over(folder: Path) -> bool:
    """Report if a job's folder has work of the native Python that does not count."""
    return (folder / GIVEN_UP).exists() and (folder / MARKER).exists()


def forget_native_python(folder: Path) -> None:
    """Note that nothing in a job's folder is of the native Python any more."""
    (folder / MARKER).unlink(missing_ok=True)
