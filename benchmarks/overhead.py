"""Overhead of the factory: the time of every stage of a build, with warm caches.

Usage, as root: python benchmarks/overhead.py [--package NAME] [--runs N]

Each run is a complete `factory build` with an empty store; roots, downloads and installed requirements are in the
machine's cache. The overhead is the time of the command without the build stage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from factory.cli.console import print_table
from factory.pipeline.order import STAGES
from factory.util.paths import CACHE_VARIABLE, default_layout
from factory.util.process import run

ROOT = Path(__file__).resolve().parent.parent
SHARED = ("layers", "downloads", "packages", "metadata", "mirror", "ccache")
REST = "the rest"
OVERHEAD = "overhead"


def main() -> int:
    """Run the builds, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--package", default="msgspec", help="recipe without dependencies on other recipes (default: msgspec)"
    )
    parser.add_argument("--runs", type=int, default=3, help="number of builds (default: 3)")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    found = [build_once(arguments.package) for _ in range(arguments.runs)]
    print(f"{arguments.package}: {arguments.runs} builds, load {load:.1f} before them; seconds, min/median/max")
    print_table(("stage", "wall"), [(name, spread([run[name] for run in found])) for name in found[0]])
    return 0


def build_once(package: str) -> Mapping[str, float]:
    """Build once; return the seconds of each stage, of the rest, and of the overhead."""
    with tempfile.TemporaryDirectory(dir=default_layout().root) as folder:
        for name in SHARED:
            Path(folder, name).symlink_to(default_layout().root / name)
        command = [sys.executable, "-m", "factory.cli", "build", package, "--json"]
        started = time.monotonic()
        printed = run(command, env={**os.environ, CACHE_VARIABLE: folder}, cwd=ROOT)
        total = time.monotonic() - started
    (record,) = json.loads(printed[printed.index("[\n") :])
    stages = {stage["stage"]: float(stage["seconds"]) for stage in record["stages"]}
    seconds = {name: stages[name] for name in STAGES}
    return {**seconds, REST: total - sum(seconds.values()), OVERHEAD: total - seconds["build"]}


def spread(values: list[float]) -> str:
    return f"{min(values):.1f}/{median(values):.1f}/{max(values):.1f}"


if __name__ == "__main__":
    sys.exit(main())
