"""Stopped builds in the real sandbox: tools remove their partial files."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from factory.errors import TimeLimitReached
from factory.model.protocols import Command
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util import cancellation
from tests.support.interruption import BACKEND, NINJA, ask_when_both_are_begun
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment

MAKE = "all: one two\none two:\n\techo half > $@; sleep 100; echo whole > $@\n"


@pytest.mark.parametrize(
    ("file", "text", "tool"),
    [("build.ninja", NINJA, "ninja -j2"), ("Makefile", MAKE, "make -j2")],
    ids=["ninja", "make"],
)
def test_stopped_build_leaves_no_partial_files_and_processes(
    file: str, text: str, tool: str, hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / file).write_text(text)
    (work / "backend.py").write_text(BACKEND)
    with cancellation.working_under() as stop, hybrid.open(work, caches="test") as sandbox:
        asker = threading.Thread(target=ask_when_both_are_begun, args=(work, stop))
        asker.start()
        with pytest.raises(TimeLimitReached):
            sandbox.run(Command(["python3", "backend.py", "sh", "-c", f"{tool} && true"]), log=log)
        asker.join()
    assert {path.name for path in work.iterdir() if not path.name.startswith(".ninja")} == {"backend.py", file}
