"""pip on the native Python: the files that pip on the riscv64 Python installs."""

from __future__ import annotations

import base64
import hashlib
import marshal
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.errors import CommandFailed
from factory.host import binfmt
from factory.model.protocols import INPUTS, Command
from factory.model.target import PYTHONS
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import check_root
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.wheelmaker import write_zip

pytestmark = [
    pytest.mark.environment,
    pytest.mark.skipif(binfmt.is_native(), reason="a riscv64 machine has no other Python"),
]
# Of byte code: its magic number, its flags, and the time and size of the source.
MAGIC, HEADER = 8, 16
CODE = """
import sys

class Thing:
    '''A thing.'''

    def words(self, text: str = "a, b") -> set[str]:
        return {word for word in text.split(", ") if word in {"a", "b", "c"}} - frozenset({"z"})

def main() -> None:
    print(sys.platform, Thing().words(), f"{1e308!r:>20}", 0.1 + 0.2, -0.0, 1j)
"""


def make_wheel(
    folder: Path, name: str, version: str, tag: str, *, requires: str = "", files: Mapping[str, str] = {}
) -> None:
    """Make a wheel with a module that compiles, one that does not, and `files`."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
    pure = str(tag.endswith("any")).lower()
    members = {
        f"{name}/__init__.py": CODE,
        f"{name}/broken.py": "def (:\n",
        **{path.format(data=f"{name}-{version}.data", info=info): text for path, text in files.items()},
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    record = "".join(f"{path},{digest(text)},{len(text)}\n" for path, text in members.items())
    write_zip(folder / f"{name}-{version}-{tag}.whl", {**members, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"})


def digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def make_wheels(folder: Path) -> None:
    """Make packages with scripts, data and requirements, and another pip."""
    scripts = {
        "{info}/entry_points.txt": "[console_scripts]\ndemo = demo:main\n[gui_scripts]\ndemo-window = demo:main\n",
        "{data}/scripts/demo-script": "#!python\nprint(1)\n",
        "{data}/scripts/demo-shell": "#!/bin/sh\necho 1\n",
        "{data}/data/share/demo/text": "text",
        "{data}/data/etc/demo.conf": "[demo]\n",
        "{data}/headers/demo.h": "int demo;\n",
        "{data}/purelib/demo_pure/__init__.py": CODE,
        "{data}/platlib/demo_native/__init__.py": CODE,
        "demo/module.cpython-313-riscv64-linux-gnu.so": "not a library",
    }
    requires = (
        "Requires-Dist: of_riscv; platform_machine == 'riscv64' and sys_platform == 'linux'\n"
        "Requires-Dist: of_intel; platform_machine == 'x86_64'\n"
        "Requires-Dist: with_extra[more]>=1\n"
    )
    more = "Provides-Extra: more\nRequires-Dist: extra; extra == 'more'\n"
    for machine in ("riscv64", "x86_64"):
        files = {**scripts, "demo/machine.txt": machine}
        make_wheel(folder, "demo", "1.0", f"py3-none-manylinux_2_17_{machine}", requires=requires, files=files)
        make_wheel(folder, "demo", "2.0", f"py3-none-manylinux_2_99_{machine}")
    make_wheel(folder, "of_riscv", "1.0", "py3-none-linux_riscv64")
    make_wheel(folder, "of_intel", "1.0", "py3-none-any")
    make_wheel(folder, "with_extra", "1.0", "py3-none-any", requires=more)
    make_wheel(folder, "extra", "1.0", "py2.py3-none-any")
    make_wheel(folder, "pip", "99.0", "py3-none-any", files={"pip/__main__.py": "raise SystemExit('not this pip')\n"})


def install(root: RootfsEnvironment, folder: Path, log: MemoryLog, *commands: Sequence[str]) -> dict[str, Any]:
    """Install wheels by pip commands in a new root; return the changed files by path."""
    with root.open(folder, caches="test") as sandbox:
        make_wheels(sandbox.inputs / "wheels")
        for words in commands:
            command = ["pip", "--isolated", "install", "--no-index", "--find-links", f"{INPUTS}/wheels", *words]
            sandbox.run(Command(command, env={"SOURCE_DATE_EPOCH": ""}, native_pip=True), log=log)
        upper = folder.with_name(f"{folder.name}.root") / "upper"
        paths = (Path(above, name) for above, _, names in os.walk(upper) for name in names)
        return {str(path.relative_to(upper)): content(path) for path in paths}


def content(path: Path) -> tuple[object, ...]:
    """Return a file's type, rights and content; of byte code, what decides its run."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return stat.S_IFMT(status.st_mode), status.st_rdev
    data = path.read_bytes()
    if path.suffix != ".pyc":
        return status.st_mode, data
    assert data[MAGIC + 4 : HEADER]  # the source's size
    return status.st_mode, data[:MAGIC], data[MAGIC + 4 : HEADER], marshal.loads(data[HEADER:])


@pytest.mark.parametrize("python", PYTHONS)
def test_native_pip_installs_the_same_files(layout: Layout, tmp_path: Path, log: MemoryLog, python: str) -> None:
    root = check_root(layer_store(layout), python)
    native = RootfsEnvironment(root=root, layout=layout)
    emulated = RootfsEnvironment(root=replace(root, native_pip=None), layout=layout)
    commands = (["demo"], ["--no-deps", "--no-compile", "--force-reinstall", "extra"], ["pip==99.0"])
    found = install(native, tmp_path / "native", log, *commands)
    assert found == install(emulated, tmp_path / "emulated", log, *commands)
    venv = f"opt/venv/lib/python{python}/site-packages"
    assert found["opt/venv/bin/demo"][1].startswith(f"#!/opt/venv/bin/python{python}\n".encode())
    assert found[f"{venv}/demo/machine.txt"][1] == b"riscv64"
    assert {f"{venv}/extra/__init__.py", f"{venv}/of_riscv/__init__.py", "opt/venv/etc/demo.conf"} <= found.keys()
    assert not any("of_intel" in path or "demo-2.0" in path for path in found)


def test_native_pip_ignores_what_packages_leave(clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    """Another pip, and files that Python reads at its start."""
    site, plant = f"/opt/venv/lib/python{PYTHONS[0]}/site-packages", f"{INPUTS}/plant.py"
    planting = f"cp {plant} {site}/sitecustomize.py; cp {plant} {site}/ast.py; echo 'import ast' > {site}/a.pth"
    with clean_root.open(tmp_path / "work", caches="test") as sandbox:
        make_wheels(sandbox.inputs / "wheels")
        (sandbox.inputs / "plant.py").write_text("print('planted')\n")
        command = ["pip", "--isolated", "install", "--no-index", "--find-links", f"{INPUTS}/wheels"]
        for words in (["pip==99.0"], ["demo"]):
            sandbox.run(Command([*command, *words], native_pip=True), log=log)
            sandbox.run(Command(["sh", "-ec", planting]), log=log)
        assert "planted" not in log.text
        with pytest.raises(CommandFailed):
            sandbox.run(Command(["python", "-m", *command]), log=log)
        assert "not this pip" in log.text  # the root's own Python runs what is there


def test_tools_are_read_only_and_gone_afterwards(clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with clean_root.open(tmp_path / "work", caches="test") as sandbox:
        make_wheel(sandbox.inputs, "demo", "1.0", "py3-none-any", files={"{data}/data/x": ""})
        into = ["pip", "install", "--no-index", "--target", "/mnt/there", f"{INPUTS}/demo-1.0-py3-none-any.whl"]
        with pytest.raises(CommandFailed):
            sandbox.run(Command(into, native_pip=True), log=log)
        assert "Read-only file system" in log.text
        sandbox.run(Command(["sh", "-ec", 'test -z "$(ls /mnt)"']), log=log)
