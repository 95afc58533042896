"""Our own QEMU: the extension that it adds, and who gets it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.console import Reporter
from factory.errors import CommandFailed, EnvironmentSetupError
from factory.host.binfmt import BINFMT, ENTRY
from factory.model.protocols import Command
from factory.model.target import OWN_PROFILES, PROFILES, needs_own_qemu
from factory.pipeline.own_qemu import with_own_qemu
from factory.pipeline.run import Run
from factory.recipes.recipe_set import RecipeSet
from factory.stages.environments.base import RootRequest
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import hybrid_root
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.sandboxes import said

pytestmark = pytest.mark.environment
PROJECT = Path(__file__).parents[3]
IME = OWN_PROFILES["k1-ime"].qemu_cpu
# The VLENs that the specification defines.
WIDE = "max,vlen=1024,xsmtvdot=true"
PROGRAM = Path(__file__).with_name("xsmtvdot.c")
COMPILE = "clang-22 -O1 -march=rv64gcv_xsmtvdot -o /build/xsmtvdot /build/xsmtvdot.c"
INSTRUCTIONS = [
    f"{name}{signs}" for name in ("vmadot", "vmadot1", "vmadot2", "vmadot3") for signs in ("", "u", "us", "su")
]


@pytest.fixture(scope="module")
def environment(layout: Layout) -> RootfsEnvironment:
    """Return a build root with Clang and our own QEMU."""
    root = hybrid_root(layer_store(layout), RootRequest(toolchain="clang"))
    run = Run(layout=layout, recipes=RecipeSet(PROJECT, SOURCE_KINDS), reporter=Reporter())
    return RootfsEnvironment(root=with_own_qemu(root, OWN_PROFILES, run), layout=layout)


@pytest.fixture(scope="module")
def program(environment: RootfsEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled program of instructions."""
    work = tmp_path_factory.mktemp("program") / "work"
    work.mkdir()
    (work / PROGRAM.name).write_bytes(PROGRAM.read_bytes())
    said(environment, work, COMPILE)
    return work / PROGRAM.stem


def run(environment: RootfsEnvironment, program: Path, arguments: str, cpu: str) -> list[str]:
    """Return the lines that the program prints on a CPU."""
    return said(environment, program.parent, f"/build/{program.name} {arguments}", cpu=cpu).splitlines()


@pytest.mark.parametrize(("cpu", "vlen"), [(IME, 256), (WIDE, 1024)])
def test_instructions_agree_with_the_model(environment: RootfsEnvironment, program: Path, cpu: str, vlen: int) -> None:
    lines = run(environment, program, "model 3000", cpu)
    assert lines == [f"{len(INSTRUCTIONS)} instructions, 3000 calls each, VLEN {vlen}: 0 wrong"]


@pytest.mark.parametrize("cpu", [IME, WIDE])
def test_reserved_cases_are_illegal_instructions(environment: RootfsEnvironment, program: Path, cpu: str) -> None:
    assert run(environment, program, "illegal", cpu) == ["17 cases"]


def test_cpu_without_the_extension_refuses_all(environment: RootfsEnvironment, program: Path) -> None:
    """On the distribution's QEMU, and on ours with a CPU that has not got it."""
    assert run(environment, program, "absent", PROFILES["k1"].qemu_cpu) == ["16 instructions refused"]
    own = environment.root.own_qemu
    assert own is not None
    off = f"QEMU_CPU={PROFILES['k1'].qemu_cpu} /build/own-qemu /build/{program.name} absent"
    shutil.copy(own, program.with_name("own-qemu"))
    assert said(environment, program.parent, off) == "16 instructions refused"


def test_python_copies_files_with_their_attributes(environment: RootfsEnvironment, tmp_path: Path) -> None:
    """A system call that QEMU lacks would be an error of `shutil.copy2`."""
    copy = "import shutil; shutil.copy2(shutil.__file__, '/tmp/copied'); print('copied')"
    assert said(environment, tmp_path / "work", f'python3 -c "{copy}"', cpu=IME) == "copied"


@pytest.mark.parametrize("vlen", [128, 512])
def test_vlen_that_the_specification_lacks_is_refused(
    environment: RootfsEnvironment, tmp_path: Path, vlen: int, log: MemoryLog
) -> None:
    with environment.open(tmp_path / "work", caches="test") as sandbox, pytest.raises(CommandFailed) as caught:
        sandbox.run(Command(["python3", "-V"], cpu=f"max,vlen={vlen},xsmtvdot=true"), log=log)
    assert "XSMTVDot extension requires V or Zve* extensions and VLEN 256 or 1024" in caught.value.output


def test_k1_ime_is_k1_with_the_extension_and_x60s_identity(environment: RootfsEnvironment, program: Path) -> None:
    ask = "python3 -c \"print(next(line for line in open('/proc/cpuinfo') if line.startswith('isa')))\""
    plain, own = (said(environment, program.parent, ask, cpu=cpu) for cpu in (PROFILES["k1"].qemu_cpu, IME))
    assert own == f"{plain}_xsmtvdot"
    assert run(environment, program, "identity", IME) == ["0x710 0x8000000058000001"]


def test_child_processes_have_the_cpu_and_others_their_qemu(environment: RootfsEnvironment, tmp_path: Path) -> None:
    """The table of interpreters is the command's own: a second command runs beside it, on the distribution's QEMU."""
    before = (BINFMT / ENTRY).read_text()
    ask = "python3 -c \"import subprocess; subprocess.run(['grep', '-m1', 'isa', '/proc/cpuinfo'], check=True)\""
    assert said(environment, tmp_path / "one", ask, cpu=IME).endswith("_xsmtvdot")
    assert not said(environment, tmp_path / "two", ask, cpu=PROFILES["k1"].qemu_cpu).endswith("_xsmtvdot")
    assert (BINFMT / ENTRY).read_text() == before
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_copied_root_has_our_qemu(environment: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with environment.open(tmp_path / "work", caches="test") as sandbox, sandbox.copied("k1-ime") as copy:
        copy.run(Command(["grep", "-m1", "xsmtvdot", "/proc/cpuinfo"], cpu=IME), log=log)


def test_root_without_our_qemu_refuses_the_cpu(environment: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    plain = replace(environment, root=replace(environment.root, own_qemu=None))
    assert (needs_own_qemu(IME), needs_own_qemu(PROFILES["k1"].qemu_cpu)) == (True, False)
    with (
        plain.open(tmp_path / "work", caches="test") as sandbox,
        pytest.raises(EnvironmentSetupError, match="no QEMU for the CPU"),
    ):
        sandbox.run(Command(["true"], cpu=IME), log=log)
