"""Worker's side of a fleet: builds one recipe with the factory and project that are on its machine.

dask calls `build_order` in a worker, which was started in a project folder, with a cache of its own.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed
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
    """A recipe to build for a Python; `needs` are the content keys of builds that it uses.

    `options` are those of `factory build`.
    """

    name: str
    python: str
    key: str
    needs: tuple[str, ...]
    options: tuple[str, ...]
    exchange: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """End of a build on a machine: its exit status, and of a failure what was told, and what its store keeps of it."""

    machine: str
    status: int = 0
    told: str = ""
    failure: BuildFailure | None = None


def build_order(order: Order) -> Answer:
    """Take what the build needs from the exchange, build, and put the result there.

    A machine with other recipes, or another factory, makes a build with another content key, and says so.
    """
    layout, machine = default_layout(), f"{socket.gethostname()}, process {os.getpid()}"
    exchange = Exchange(url=order.exchange, layout=layout)
    for key in order.needs:
        exchange.take(key)
    store = Store(layout.store)
    try:
        _build(order)
    except CommandFailed as error:
        found = [each for each in store.failures() if (each.name, each.python) == (order.name, order.python)]
        failure = found[0] if found else None
        return Answer(machine=machine, status=error.status, told=error.output, failure=failure)
    record = store.record(order.key)
    if record is None:
        told = "it was built with another content key, so this machine has other recipes, or another factory"
        return Answer(machine=machine, status=1, told=told)
    exchange.put(record)
    return Answer(machine=machine)


def _build(order: Order) -> None:
    """Run the command, which ends with this process.

    Raises:
        CommandFailed: it failed.
    """
    build = PlannedBuild(name=order.name, version="", python=order.python, reason="")
    plan = BuildPlan(waves=((PlannedGroup(id=GROUP, builds=(build,), minutes=0),),))
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        file = Path(folder) / "plan.json"
        save(file, plan)
        run([sys.executable, "-m", "factory.cli", "build", "--plan", str(file), "--group", GROUP, *order.options])
