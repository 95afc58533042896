"""Run times of cibuildwheel in our image, with and without the native tools.

Usage, as root with a Docker engine: python benchmarks/cibuildwheel_speed.py [--package NAME]... [--json]

The packages are unmodified source distributions with their own configuration for cibuildwheel, if any: one in C, one
in C++ with CMake and one in C++ with Meson. All steps of cibuildwheel are timed (install, build, repair, test), for one
Python, with one job per core and without ccache.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from timed_sandbox import Seconds

from factory.cli.console import Reporter, print_table
from factory.errors import FactoryError, PrerequisiteMissing
from factory.host.docker_engine import connect
from factory.model.artifacts import SourceTree
from factory.model.recipe import BuildOptions, Recipe
from factory.model.target import Target
from factory.pipeline.job_slots import processors
from factory.stages.builders import cibuildwheel
from factory.stages.builders.base import Build
from factory.stages.environments.base import Root, RootRequest
from factory.stages.environments.docker.cibuildwheel import CibuildwheelEnvironment
from factory.stages.environments.docker.labels import OWNER_LABEL, own_label
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.manylinux import manylinux_root
from factory.stages.sources.fetch import fetch
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.pypi import PypiSource
from factory.util.log import OpenStage
from factory.util.paths import Layout, default_layout
from factory.util.scratch import discard

MODES = ("hybrid", "emulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A source distribution; `note` has its language and the excluded configuration."""

    name: str
    version: str
    sha256: str
    note: str
    options: Mapping[str, str] = field(default_factory=dict)

    def recipe(self, folder: Path) -> Recipe:
        pin = PypiSource(project=self.name, version=self.version, sha256=self.sha256)
        environment = {"CCACHE_DISABLE": "1", **self.options}
        build = BuildOptions(builder="cibuildwheel", environment=environment)
        return Recipe(name=self.name, version=self.version, directory=folder, source=pin, build=build)


SUBJECTS = (
    Subject(
        name="msgspec",
        version="0.22.0",
        sha256="0a13624a4969159fe35d8c2a3d377b2b61bbd8585e327440d5e52725affcce38",
        note="C, setuptools; no configuration, so nothing is tested",
    ),
    Subject(
        name="levenshtein",
        version="0.27.5",
        sha256="22021caf5867a46fae5ab927bbdcb430599d7e5ee3898449cbbe430ff07b7d08",
        note="C++, CMake; its own configuration, with its tests",
    ),
    Subject(
        name="contourpy",
        version="1.4.0",
        sha256="20156f5a1ac4f8ce02656e39a61e82164a3d359796dc8026f75b062783d500e1",
        note="C++, Meson; its own configuration, without the tests, which need a numpy without a riscv64 wheel",
        options={"CIBW_TEST_SKIP": "*"},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of cibuildwheel, with the last CPU seconds that the engine reported."""

    package: str
    mode: str
    seconds: Seconds


def main() -> int:
    """Run cibuildwheel, print the times, and return the exit code."""
    arguments = parse_arguments()
    try:
        if os.geteuid() != 0:
            raise PrerequisiteMissing("riscv64 roots: cannot open them: root privileges are missing", hint="use sudo")
        layout, load = default_layout(), os.getloadavg()[0]
        subjects = [subject for subject in SUBJECTS if subject.name in (arguments.package or [subject.name])]
        store = LayerStore(layout=layout, open_stage=stages(layout))
        roots = {mode: manylinux_root(store, mode, RootRequest()) for mode in MODES}
        runs = [run_once(subject, mode, root, layout) for subject in subjects for mode, root in roots.items()]
    except FactoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    show = print_json if arguments.json else print_text
    show(subjects, load, runs)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--package", action="append", choices=names, help="package to build; repeatable (default: all)")
    parser.add_argument("--json", action="store_true", help="print every run as JSON")
    return parser.parse_args()


def stages(layout: Layout, label: str = "environment") -> OpenStage:
    folder = layout.logs / "benchmarks"
    return lambda stage: Reporter().stage(label, stage, folder / f"{label}-{stage}.log".replace(" ", "-"))


def run_once(subject: Subject, mode: str, root: Root, layout: Layout) -> Run:
    """Fetch the source and run cibuildwheel in a temporary folder; keep the logs."""
    folder = layout.root / "benchmarks" / f"cibuildwheel-{subject.name}-{mode}"
    discard(folder)
    recipe, open_stage = subject.recipe(folder), stages(layout, subject.name)
    try:
        with open_stage(f"{mode} cibuildwheel") as log:
            tree = fetch(recipe.source, layout.downloads, folder / "source", log)
            (folder / "work").mkdir()
            tree.path.rename(folder / "work/src")
            metadata = read_project_metadata(SourceTree(path=folder / "work/src", sha256=tree.sha256))
            environment = CibuildwheelEnvironment(root=root, store=LayerStore(layout=layout, open_stage=open_stage))
            with environment.open(folder / "work", caches="_benchmarks") as sandbox, measured() as seconds:
                build = Build(
                    sandbox=sandbox,
                    folder=folder,
                    recipe=recipe,
                    metadata=metadata,
                    python=Target().python,
                    log=log,
                    jobs=processors(),
                )
                cibuildwheel.build_wheel(build, cibuildwheel.install_requirements(build, ()))
    finally:
        discard(folder)
    return Run(package=recipe.label, mode=mode, seconds=seconds())


@contextmanager
def measured() -> Iterator[Callable[[], Seconds]]:
    """Measure the body and our container; the yielded function returns the result."""
    started, ended, samples = time.monotonic(), threading.Event(), [0.0]
    watcher = threading.Thread(target=watch, args=(samples, ended))
    watcher.start()
    taken: list[float] = []
    try:
        yield lambda: Seconds(wall=taken[0], cpu=samples[-1])
    finally:
        taken.append(time.monotonic() - started)
        ended.set()
        watcher.join()


def watch(samples: list[float], ended: threading.Event) -> None:
    """Append the CPU seconds of our container every second."""
    from docker.errors import APIError

    with connect() as client:
        labelled = {"label": f"{OWNER_LABEL}={own_label()}"}
        while not ended.wait(0.5):
            for container in client.api.containers(filters=labelled):
                with suppress(APIError):
                    for sample in client.api.stats(container["Id"], decode=True):
                        samples.append(max(samples[-1], sample["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9))


def print_json(subjects: Sequence[Subject], load: float, runs: Sequence[Run]) -> None:
    document = {
        "packages": {f"{subject.name} {subject.version}": subject.note for subject in subjects},
        "cores": os.cpu_count(),
        "load": load,
        "runs": [asdict(run) for run in runs],
    }
    print(json.dumps(document, indent=1))


def print_text(subjects: Sequence[Subject], load: float, runs: Sequence[Run]) -> None:
    for subject in subjects:
        print(f"{subject.name} {subject.version}: {subject.note}")
    print(f"{os.cpu_count()} cores, load {load:.1f} before the first run; seconds\n")
    rows = [[run.package, run.mode, f"{run.seconds.wall:.1f}", f"{run.seconds.cpu:.1f}"] for run in runs]
    print_table(["package", "image", "wall", "CPU"], rows)
    print()
    pairs = zip(runs[::2], runs[1::2], strict=True)
    ratios = [
        [fast.package, f"{slow.seconds.wall / fast.seconds.wall:.1f}", f"{slow.seconds.cpu / fast.seconds.cpu:.1f}"]
        for fast, slow in pairs
    ]
    print_table(["package", "emulated/hybrid: wall", "CPU"], ratios)


if __name__ == "__main__":
    sys.exit(main())
