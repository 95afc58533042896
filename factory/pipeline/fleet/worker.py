"""Worker of a fleet: builds one recipe with its machine's factory and project.

dask calls `build_order` in a worker, which was started in a project folder, with its own cache.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.errors import CommandFailed, StoreError
from factory.model.build_plan import BuildPlan, PlannedBuild, PlannedGroup
from factory.model.record import BuildFailure
from factory.store.exchange import Exchange
from factory.store.store import Store
from factory.util.jsonio import save
from factory.util.paths import default_layout
from factory.util.process import run

GROUP = "fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A recipe to build for the last of `pythons`; the others' builds may serve it.

    `needs` are the content keys of all builds that it uses, also indirectly. `options` are those of `factory build`.
    """

    name: str
    pythons: tuple[str, ...]
    key: str
    needs: tuple[str, ...]
    options: tuple[str, ...]
    exchange: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Result of a build: machine, exit status, and of a failure its output and record."""

    machine: str
    status: int = 0
    output: str = ""
    failure: BuildFailure | None = None


def build_order(order: Order) -> Answer:
    """Take what the build needs from the exchange, build, and put the result there.

    A machine with other recipes, or another factory, makes a build with another content key, and says so.
    """
    layout, machine = default_layout(), f"{socket.gethostname()}, process {os.getpid()}"
    exchange, store = Exchange(url=order.exchange, layout=layout), Store(layout.store)
    for key in order.needs:
        if store.record(key) is None:
            exchange.take(key)
    known = store.failures()
    try:
        _build(order)
    except CommandFailed as error:
        failure = next((each for each in store.failures() if each not in known and _is_of(each, order)), None)
        if failure is not None and failure.log:
            with suppress(StoreError):  # the failure itself matters more
                exchange.put_log(failure.log)
        return Answer(machine=machine, status=error.status, output=error.output, failure=failure)
    record = store.record(order.key)
    if record is None:
        reason = "it was built with another content key, so this machine has other recipes, or another factory"
        return Answer(machine=machine, status=1, output=reason)
    exchange.put(record)
    return Answer(machine=machine)


def _is_of(failure: BuildFailure, order: Order) -> bool:
    return (canonicalize_name(failure.name), failure.python) == (canonicalize_name(order.name), order.pythons[-1])


def _build(order: Order) -> None:
    """Run the command, which ends with this process.

    Raises:
        CommandFailed: it failed.
    """
    builds = tuple(PlannedBuild(name=order.name, version="", python=each, reason="") for each in order.pythons)
    plan = BuildPlan(waves=((PlannedGroup(id=GROUP, builds=builds, minutes=0),),))
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        file = Path(folder) / "plan.json"
        save(file, plan)
        run([sys.executable, "-m", "factory.cli", "build", "--plan", str(file), "--group", GROUP, *order.options])
