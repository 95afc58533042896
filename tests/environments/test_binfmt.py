"""Our registration with the kernel lives beside others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.environments import binfmt
from factory.environments.modes import ready_to_emulate
from factory.environments.rootfs import RootfsEnvironment
from factory.layout import Layout
from factory.process import LogFile
from tests.conftest import unreported

pytestmark = pytest.mark.environment

RIVAL = binfmt.BINFMT / "rival-riscv64"


# A native program sees which QEMU runs an emulated one.
WHO_RUNS = "sleep 9 & python-pure -c \"import os, sys; print(os.readlink(f'/proc/{sys.argv[1]}/exe'))\" $! > /build/who"


@pytest.fixture
def rival(hybrid: RootfsEnvironment, tmp_path: Path) -> Iterator[str]:
    """An entry as another program registers it, newer than ours, with a QEMU of its own."""
    ours = binfmt.registered_interpreter()
    assert ours is not None
    other = tmp_path / "rival-qemu"
    shutil.copy(ours, other)
    (binfmt.BINFMT / "register").write_text(f":{RIVAL.name}:M::{binfmt.MAGIC}:{binfmt.MASK}:{other}:PF")
    yield RIVAL.read_text()
    RIVAL.write_text("-1")


def who_runs(environment: RootfsEnvironment, work: Path) -> str:
    with environment.open(work) as sandbox:
        sandbox.run(["sh", "-c", WHO_RUNS], log=LogFile(work.with_name("log")))
    return Path((work / "who").read_text().strip()).name


def test_ours_is_found_and_names_our_qemu(hybrid: RootfsEnvironment, layout: Layout) -> None:
    registered = binfmt.registered_interpreter()
    assert registered is not None
    assert registered.name == "qemu-riscv64"
    assert binfmt.ENTRY not in binfmt.rivals()


def test_an_entry_of_the_host_stays_as_it_is_and_ours_wins(
    hybrid: RootfsEnvironment, layout: Layout, tmp_path: Path, rival: str
) -> None:
    assert RIVAL.name in binfmt.rivals()
    assert who_runs(hybrid, tmp_path / "before") == "rival-qemu"
    ready_to_emulate(layout, unreported)
    assert RIVAL.read_text() == rival
    assert who_runs(hybrid, tmp_path / "after") == "qemu-riscv64"
