"""Time of a fleet: many small packages on one worker, on two, and without one.

Usage, as root in this repository: python -m benchmarks.fleet [--packages N] [--runs N]

The packages are copies of one C extension, each built and checked on one profile. Workers are processes of this machine
with caches of their own and one compile job each; all share its roots. The overhead of a job is what one worker takes
longer than `factory build --recipes 1 --jobs 1`, divided by the jobs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from factory.cli.console import print_table
from factory.util.paths import default_layout
from tests.support.checkouts import ONE_PROFILE, SUMS, Checkout, add_recipe, copy_package, make_cache
from tests.support.fleets import machines


def main() -> int:
    """Measure each way, print the times, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packages", type=int, default=30, help="number of packages (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=1, help="runs of each way, in turn (default: %(default)s)")
    arguments = parser.parse_args()
    seconds: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for _ in range(arguments.runs):
        for workers, found in seconds.items():
            found.append(measure(arguments.packages, workers))
    alone = median(seconds[0])
    rows = [
        (
            f"{workers} workers" if workers else "factory build --recipes 1 --jobs 1",
            f"{median(found):.1f} s",
            f"{median(found) / alone:.2f}",
            f"{(median(found) - alone) / arguments.packages:.2f} s" if workers == 1 else "",
        )
        for workers, found in seconds.items()
    ]
    print_table((f"{arguments.packages} packages", "time", "relative", "overhead of a job"), rows)
    return 0


def measure(packages: int, workers: int) -> float:
    """Return the seconds that a number of workers take from empty stores; 0: no fleet."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as name, machines(Path(name)) as running:
        folder = Path(name)
        for number in range(packages):
            copy_package(folder / "packages", f"small-{number}")
            add_recipe(
                folder / "checkout", f"small-{number}", more=ONE_PROFILE, smoke=SUMS, packages=folder / "packages"
            )
        options = ["--recipes", "1", "--jobs", "1"]
        if workers:
            _, address = running.scheduler()
            for number in range(workers):
                running.worker(address, machine(folder, f"worker-{number}"))
            options = ["--scheduler", address, "--exchange", str(folder / "exchange")]
        here = machine(folder, "here")
        started = time.monotonic()
        finished = here.factory("build", "--all", *options)
        assert finished.returncode == 0, finished.stderr
        return time.monotonic() - started


def machine(folder: Path, name: str) -> Checkout:
    """Return the project with a cache that shares this machine's roots."""
    return Checkout(root=folder / "checkout", cache=make_cache(folder / name, default_layout()))


if __name__ == "__main__":
    sys.exit(main())
