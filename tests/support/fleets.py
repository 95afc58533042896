"""A real dask scheduler and real workers, as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.checkouts import Checkout
from tests.support.waiting import wait_until

QUIET = {"DASK_DISTRIBUTED__DASHBOARD__LINK": "", "DASK_LOGGING__DISTRIBUTED": "error"}
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Machines:
    """A scheduler on loopback and its workers, ended with the test."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def scheduler(self) -> tuple[subprocess.Popen[bytes], str]:
        """Start a scheduler; return it and its address."""
        file = self.folder / f"scheduler-{len(self.running)}.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        process = self._start("dask_scheduler", options, self.folder, {})
        wait_until(lambda: file.exists() and file.read_text().endswith("}"), seconds=SECONDS, process=process)
        address: str = json.loads(file.read_text())["address"]
        return process, address

    def worker(self, address: str, checkout: Checkout) -> subprocess.Popen[bytes]:
        """Start a worker for one build at a time, with the checkout's project and cache."""
        options = [address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "20"]
        variables = {"FACTORY_CACHE": str(checkout.cache)}
        return self._start("dask_worker", options, checkout.root, variables)

    def _start(
        self, program: str, options: list[str], folder: Path, variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *options]
        log = (self.folder / f"{program}-{len(self.running)}.log").open("wb")
        environment = {**os.environ, **QUIET, **variables}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        self.running.append(process)
        return process


@contextmanager
def machines(folder: Path) -> Iterator[Machines]:
    """Yield machines, and end them after the body."""
    found = Machines(folder)
    try:
        yield found
    finally:
        for process in found.running:
            process.kill()
            process.wait()
