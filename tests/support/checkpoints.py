"""Checkpoints of a job in a test's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from factory.pipeline.checkpoints import Checkpoints
from factory.util.log import LogFile, LogSink


def steps(folder: Path) -> Checkpoints:
    @contextmanager
    def open_stage(stage: str) -> Iterator[LogSink]:
        yield LogFile(folder / f"{stage}.log")

    return Checkpoints(folder=folder / "steps", root=folder, open_stage=open_stage)
