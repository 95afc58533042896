"""How long one package takes to build: for x86-64 natively, for riscv64 in the hybrid and in the emulated environment.

Usage, as root: python benchmarks/build_speed.py [--package NAME] [--modes native,hybrid,emulated] [--runs N] [--json]

All modes call the same PEP 517 hooks through factory.builders, sealed by bubblewrap, with as many jobs as there are
cores and without ccache. Installing build requirements is timed apart; the ratios are about the build alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from statistics import median

from host_sandbox import open_host

from factory import patches, sources
from factory.builders import BUILDERS
from factory.builders.pep517 import PYTHON
from factory.environments import MODES
from factory.environments.layers import discard
from factory.errors import FactoryError, PrerequisiteMissing, RecipeError
from factory.layout import Layout, default_layout
from factory.model import BASELINE_CPU, BUILD, LogSink, Recipe, Sandbox, SourcePin, SourceTree, Target
from factory.recipe import load_recipes
from factory.ui import Reporter, print_table

ROOT = Path(__file__).resolve().parent.parent
NATIVE = "native"
RATIOS = (("hybrid", NATIVE), ("emulated", "hybrid"))
# The shell's `times` rather than our own rusage: bubblewrap does not wait for the init process of its PID namespace.
TIMED = '"$@"; status=$?; times >> /build/times; exit $status'
TOOLS = f"(g++ --version | head -n 1; {PYTHON} --version; cmake --version | head -n 1) > /build/tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """Settings, over the recipe's own, with which all modes compile the same amount of code; no patches."""

    settings: Mapping[str, str]
    note: str


COMPARABLE = {
    "llama-cpp-python": Comparable(
        settings={"cmake.define.GGML_CPU_ALL_VARIANTS": "OFF", "cmake.define.GGML_BACKEND_DL": "OFF"},
        note="upstream's source without patches, one CPU variant with the vector instructions that upstream "
        "chooses for it (AVX2, RVV): with all variants x86-64 would compile four times as many as riscv64",
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is built; `note` says how it differs from what the recipe says."""

    recipe: Recipe
    patches: Sequence[Path] = ()
    note: str = "as the recipe says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Elapsed time, and the processor time of all processes."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build in one mode; `objects` counts the object files that it compiled."""

    mode: str
    requirements: Seconds
    build: Seconds
    objects: int
    tools: str


@dataclass(slots=True)
class Clock:
    """A sandbox that adds up what its commands take, QEMU and compilers included; see model.Sandbox."""

    sandbox: Sandbox
    started: float = field(default_factory=time.monotonic)

    @property
    def work(self) -> Path:
        return self.sandbox.work

    def run(
        self,
        argv: Sequence[str],
        *,
        log: LogSink,
        env: Mapping[str, str] | None = None,
        cwd: PurePosixPath = BUILD,
        network: bool = False,
        cpu: str = BASELINE_CPU,
    ) -> None:
        self.sandbox.run(["sh", "-c", TIMED, "sh", *argv], log=log, env=env, cwd=cwd, network=network, cpu=cpu)

    def read(self) -> Seconds:
        """The time since the start; starts again."""
        now, file = time.monotonic(), self.work / "times"
        parts = re.findall(r"(\d+)m([\d.]+)s", "\n".join(file.read_text().splitlines()[1::2]))  # the children's lines
        taken = Seconds(wall=now - self.started, cpu=sum(60 * int(minutes) + float(rest) for minutes, rest in parts))
        file.unlink()
        self.started = time.monotonic()
        return taken


def main() -> int:
    arguments = parse_arguments()
    try:
        if os.geteuid() != 0:
            raise PrerequisiteMissing("opening riscv64 roots needs root", hint="run the benchmark with sudo")
        subject = find_subject(arguments.package)
        modes = arguments.modes or ([NATIVE, "hybrid"] if arguments.package in COMPARABLE else [NATIVE, *MODES])
        load = os.getloadavg()[0]
        # The modes take turns, so that another load on the machine falls on all of them.
        builds = [build_once(mode, subject, default_layout()) for _ in range(arguments.runs) for mode in modes]
    except FactoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print_json(subject, load, builds) if arguments.json else print_text(subject, load, builds)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--package", default="speed-cpp", help="of recipes/ or tests/packages/ (default: speed-cpp)")
    parser.add_argument("--modes", type=read_modes, help="comma-separated: native, hybrid, emulated (default: all)")
    parser.add_argument("--runs", type=int, default=1, help="builds in each mode (default: 1)")
    parser.add_argument("--json", action="store_true", help="print every build's figures as JSON")
    return parser.parse_args()


def read_modes(text: str) -> list[str]:
    modes = text.split(",")
    if unknown := set(modes) - {NATIVE, *MODES}:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(sorted(unknown))}; there are {NATIVE}, {', '.join(MODES)}"
        )
    return modes


def find_subject(name: str) -> Subject:
    folder = ROOT / "tests/packages" / name
    if (folder / "pyproject.toml").is_file():
        version = sources.read_project_metadata(SourceTree(path=folder, sha256="")).version or "0"
        pin = SourcePin(kind="local", project=name, version=version, path=folder)
        return Subject(recipe=Recipe(name=name, version=version, directory=folder, source=pin))
    recipes = load_recipes(ROOT / "recipes")
    if name not in recipes:
        raise RecipeError(f"there is no package {name!r}", hint=f"known: speed-cpp, {', '.join(recipes)}")
    recipe = recipes[name]
    if name not in COMPARABLE:
        return Subject(recipe=recipe, patches=patches.select(ROOT / "patches", recipe))
    options = replace(recipe.build, config_settings={**recipe.build.config_settings, **COMPARABLE[name].settings})
    return Subject(recipe=replace(recipe, build=options), note=COMPARABLE[name].note)


def build_once(mode: str, subject: Subject, layout: Layout) -> Build:
    """Build from nothing in a folder that is removed afterwards; the logs stay."""
    folder = layout.jobs / f"benchmark-{subject.recipe.name}-{mode}"
    discard(folder)
    title = f"{subject.recipe.label}, {mode}"
    with Reporter().stage(title, "benchmark", layout.logs / folder.name / "benchmark.log") as log:
        try:
            with open_mode(mode, subject.recipe, folder / "work", layout, log) as sandbox:
                return measure(mode, subject, sandbox, layout, log)
        finally:
            discard(folder)


@contextmanager
def open_mode(mode: str, recipe: Recipe, work: Path, layout: Layout, log: LogSink) -> Iterator[Sandbox]:
    if mode == NATIVE:
        yield open_host(work, layout, log)
        return
    reporter, logs = Reporter(), layout.logs / "environment"
    make = MODES[mode](
        layout, recipe.build.apt, lambda stage: reporter.stage("environment", stage, logs / f"{stage}.log")
    )
    with make.open(work) as sandbox:
        yield sandbox


def measure(mode: str, subject: Subject, sandbox: Sandbox, layout: Layout, log: LogSink) -> Build:
    tree = sources.fetch(subject.recipe.source, layout.downloads, sandbox.work.with_name("source"), log)
    patches.apply(subject.patches, tree, log)
    tree.path.rename(sandbox.work / "src")
    metadata = sources.read_project_metadata(SourceTree(path=sandbox.work / "src", sha256=tree.sha256))
    options = subject.recipe.build
    recipe = replace(subject.recipe, build=replace(options, environment={**options.environment, "CCACHE_DISABLE": "1"}))
    builder, clock = BUILDERS[options.builder], Clock(sandbox)
    installed = builder.install_requirements(clock, metadata, recipe, Target().python, (), log)
    requirements = clock.read()
    builder.build(clock, metadata, recipe, installed, log)
    build = clock.read()
    sandbox.run(["sh", "-c", TOOLS], log=log)
    objects = sum(1 for name in ("src", "objects") for _ in (sandbox.work / name).rglob("*.o"))
    tools = ", ".join((sandbox.work / "tools").read_text().splitlines())
    return Build(mode=mode, requirements=requirements, build=build, objects=objects, tools=tools)


def by_mode(builds: Sequence[Build]) -> dict[str, list[Build]]:
    return {mode: [build for build in builds if build.mode == mode] for mode in dict.fromkeys(b.mode for b in builds)}


def ratios(builds: Sequence[Build]) -> dict[str, Seconds]:
    """Medians of one mode's build step over another's."""
    modes = by_mode(builds)

    def ratio(above: str, below: str, of: Callable[[Build], float]) -> float:
        return median(map(of, modes[above])) / median(map(of, modes[below]))

    return {
        f"{above}/{below}": Seconds(
            wall=ratio(above, below, lambda run: run.build.wall), cpu=ratio(above, below, lambda run: run.build.cpu)
        )
        for above, below in RATIOS
        if above in modes and below in modes
    }


def print_json(subject: Subject, load: float, builds: Sequence[Build]) -> None:
    document = {
        "package": subject.recipe.label,
        "note": subject.note,
        "cores": os.cpu_count(),
        "load": load,
        "builds": [asdict(build) for build in builds],
        "ratios": {name: asdict(ratio) for name, ratio in ratios(builds).items()},
    }
    print(json.dumps(document, indent=1))


def print_text(subject: Subject, load: float, builds: Sequence[Build]) -> None:
    print(f"{subject.recipe.label}: {subject.note}")
    print(
        f"{os.cpu_count()} cores, load {load:.1f} before the first build; seconds (of several runs: min/median/max)\n"
    )
    rows = []
    for mode, runs in by_mode(builds).items():
        times = [spread(select(run) for run in runs) for select in COLUMNS.values()]
        rows.append([mode, *times, str(runs[0].objects)])
    print_table(["mode", *COLUMNS, "objects"], rows)
    print()
    for mode, runs in by_mode(builds).items():
        print(f"{mode}: {runs[0].tools}")
    for name, ratio in ratios(builds).items():
        print(f"{name}: {ratio.wall:.2f} wall, {ratio.cpu:.2f} CPU")


COLUMNS: Mapping[str, Callable[[Build], float]] = {
    "build wall": lambda run: run.build.wall,
    "build CPU": lambda run: run.build.cpu,
    "requirements wall": lambda run: run.requirements.wall,
    "requirements CPU": lambda run: run.requirements.cpu,
}


def spread(values: Iterator[float]) -> str:
    found = sorted(values)
    shown = found if len(found) == 1 else [found[0], median(found), found[-1]]
    return "/".join(f"{value:.1f}" for value in shown)


if __name__ == "__main__":
    sys.exit(main())
