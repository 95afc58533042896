"""Shell scripts in a root."""

from __future__ import annotations

from pathlib import Path

from factory.model.protocols import Command
from factory.model.target import BASELINE_CPU
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.log import LogFile


def said(
    environment: RootfsEnvironment, work: Path, script: str, *, network: bool = False, cpu: str = BASELINE_CPU
) -> str:
    """Run a shell script in the root and return its output."""
    with environment.open(work, caches="test") as sandbox:
        command = ["sh", "-c", f"({script}) > /build/said"]
        sandbox.run(Command(command, network=network, cpu=cpu), log=LogFile(work.with_name("said.log")))
    return (work / "said").read_text().strip()
