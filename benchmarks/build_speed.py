"""Build times: packages for x86-64 natively, and for riscv64 hybrid and emulated.

Usage, as root: python benchmarks/build_speed.py [--package NAME]... [--modes MODE,MODE] [--runs N] [--json]

All modes call the same PEP 517 hooks through factory.stages.builders, sealed by bubblewrap, with one job per core and
without ccache. The installation of build requirements is timed separately; the ratios are for the build alone.

`same-rust` builds a Rust program for x86-64 in the hybrid root, by the same rustc: natively, without another compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from host_sandbox import open_host
from timed_sandbox import Seconds, TimedSandbox

from factory.cli.console import Reporter, print_table
from factory.errors import FactoryError, PrerequisiteMissing, RecipeError
from factory.model.artifacts import SourceTree
from factory.model.protocols import Command, Sandbox
from factory.model.recipe import Recipe
from factory.model.target import Target
from factory.pipeline.job_slots import processors
from factory.pipeline.metadata import describe
from factory.pipeline.run import Run
from factory.recipes.loader import load_recipes
from factory.recipes.recipe_set import RecipeSet
from factory.stages.builders.base import Build as BuildJob
from factory.stages.builders.cargo import needs_rust
from factory.stages.builders.native_python import NeedsRiscv64Python
from factory.stages.builders.pep517 import PYTHON
from factory.stages.builders.registry import builder_of
from factory.stages.environments.base import RootRequest
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import MODES
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.stages.sources.local import LocalSource
from factory.stages.sources.metadata import read_project_metadata
from factory.stages.sources.prepare import prepare
from factory.util.log import LogSink
from factory.util.paths import Layout, default_layout
from factory.util.scratch import discard

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = "speed-cpp"
NATIVE, SAME_RUST = "native", "same-rust"
RATIOS = (("hybrid", NATIVE), ("hybrid", SAME_RUST), ("emulated", "hybrid"))
SAME_RUST_VARIABLES = {
    "CARGO_BUILD_TARGET": "x86_64-unknown-linux-gnu",
    "CC_x86_64_unknown_linux_gnu": "x86_64-linux-gnu-gcc",
    "AR_x86_64_unknown_linux_gnu": "x86_64-linux-gnu-ar",
}
PROGRAMS = ("g++", PYTHON, "cmake", "rustc")
TOOLS = f"({'; '.join(f'{program} --version | head -n 1' for program in PROGRAMS)}) > /build/tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A package to build; `note` says how it differs from the recipe."""

    recipe: Recipe
    patches: Sequence[Path] = ()
    note: str = "as its recipe says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A package and a mode; `root` is None on the host itself."""

    subject: Subject
    mode: str
    root: RootfsEnvironment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """Settings, over those of the recipe, for the same amount of code in all modes."""

    settings: Mapping[str, str]
    note: str


COMPARABLE = {
    "llama-cpp-python": Comparable(
        settings={
            **{f"cmake.define.GGML_{name}": "OFF" for name in ("CPU_ALL_VARIANTS", "BACKEND_DL")},
            # ggml leaves these off for reproducible builds, but not riscv64's vectors.
            **{f"cmake.define.GGML_{name}": "ON" for name in ("SSE42", "AVX", "AVX2", "FMA", "F16C", "BMI2")},
        },
        note="as its recipe says, with one CPU variant with vectors (x86-64: AVX2, riscv64: RVV): x86-64 has several "
        "times as many variants as riscv64",
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build in one mode; `objects` is the number of compiled object files.

    `runs` is 2 if the native Python had to give way to the riscv64 one, and the build ran again. Both count.
    """

    package: str
    mode: str
    requirements: Seconds
    build: Seconds
    objects: int
    runs: int
    tools: Sequence[str]


COLUMNS: Mapping[str, Callable[[Build], float]] = {
    "build wall": lambda run: run.build.wall,
    "build CPU": lambda run: run.build.cpu,
    "requirements wall": lambda run: run.requirements.wall,
    "requirements CPU": lambda run: run.requirements.cpu,
}


def main() -> int:
    """Run the builds, print the times, and return the exit code."""
    arguments = parse_arguments()
    try:
        if os.geteuid() != 0:
            raise PrerequisiteMissing("riscv64 roots: cannot open them: root privileges are missing", hint="use sudo")
        subjects, layout = [find_subject(name) for name in arguments.package or [DEFAULT]], default_layout()
        cases = [
            Case(subject=subject, mode=mode, root=make_environment(subject, mode, layout))
            for subject in subjects
            for mode in arguments.modes or default_modes(subject)
        ]
        load = os.getloadavg()[0]
        # Interleave packages and modes, so that other load on the machine affects all of them.
        builds = [build_once(case, layout) for _ in range(arguments.runs) for case in cases]
    except FactoryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    show = print_json if arguments.json else print_text
    show(subjects, load, builds)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--package", action="append", help=f"package of recipes/ or tests/packages/; repeatable (default: {DEFAULT})"
    )
    parser.add_argument(
        "--modes",
        type=read_modes,
        help="comma-separated modes: native, same-rust, hybrid, emulated (default: all but same-rust)",
    )
    parser.add_argument("--runs", type=int, default=1, help="builds per mode (default: 1)")
    parser.add_argument("--json", action="store_true", help="print every build as JSON")
    return parser.parse_args()


def read_modes(text: str) -> list[str]:
    known, modes = [NATIVE, SAME_RUST, *MODES], text.split(",")
    if unknown := [mode for mode in modes if mode not in known]:
        raise argparse.ArgumentTypeError(f"unknown mode {', '.join(unknown)}; choose from {', '.join(known)}")
    return modes


def find_subject(name: str) -> Subject:
    """Find a project of tests/packages, or a recipe with its patches, made comparable."""
    folder = ROOT / "tests/packages" / name
    if (folder / "pyproject.toml").is_file():
        version = read_project_metadata(SourceTree(path=folder, sha256="")).version or "0"
        pin = LocalSource(project=name, version=version, path=folder)
        return Subject(recipe=Recipe(name=name, version=version, directory=folder, source=pin), note="as it is")
    recipes = load_recipes(ROOT / "recipes", SOURCE_KINDS)
    if name not in recipes:
        raise RecipeError(f"--package {name}: no such package", hint=f"choose from {DEFAULT}, {', '.join(recipes)}")
    recipe = recipes[name]
    subject = Subject(recipe=recipe, patches=patches.select(ROOT / "patches", recipe.source))
    return subject if name not in COMPARABLE else comparable(subject, COMPARABLE[name])


def comparable(subject: Subject, changes: Comparable) -> Subject:
    build = subject.recipe.build
    options = replace(build, config_settings={**build.config_settings, **changes.settings})
    return replace(subject, recipe=replace(subject.recipe, build=options), note=changes.note)


def default_modes(subject: Subject) -> list[str]:
    """Return all modes; without emulated for packages that take far too long there."""
    return [NATIVE, "hybrid"] if subject.recipe.name in COMPARABLE else [NATIVE, "hybrid", "emulated"]


def make_environment(subject: Subject, mode: str, layout: Layout) -> RootfsEnvironment | None:
    if mode == NATIVE:
        return None
    logs = layout.logs / "environment"

    def open_stage(stage: str) -> AbstractContextManager[LogSink]:
        return Reporter().stage("environment", stage, logs / f"{stage.replace(' ', '-')}.log")

    recipe = subject.recipe
    metadata = describe(recipe, Run(layout=layout, recipes=RecipeSet(ROOT, SOURCE_KINDS), reporter=Reporter()))
    request = RootRequest(apt=recipe.build.apt, rust=needs_rust(metadata, recipe, Target().python))
    root = MODES["hybrid" if mode == SAME_RUST else mode](LayerStore(layout=layout, open_stage=open_stage), request)
    return RootfsEnvironment(root=root, layout=layout)


def build_once(case: Case, layout: Layout) -> Build:
    """Build from an empty folder, on the host if the case has no root; keep the logs."""
    subject, mode, root = case.subject, case.mode, case.root
    folder = layout.root / "benchmarks" / f"{subject.recipe.name}-{mode}"
    work = folder / "work"
    discard(folder)
    with Reporter().stage(
        subject.recipe.label, f"{mode} build", layout.logs / "benchmarks" / f"{folder.name}.log"
    ) as log:
        opened: AbstractContextManager[Sandbox]
        opened = root.open(work, caches="_benchmarks") if root is not None else nullcontext(open_host(work, layout))
        try:
            with opened as sandbox:
                return measure(mode, subject, sandbox, layout, log)
        finally:
            discard(folder)


def measure(mode: str, subject: Subject, sandbox: Sandbox, layout: Layout, log: LogSink) -> Build:
    """Fetch the source, install its requirements, and build; measure the last two."""
    work, builder = sandbox.work, builder_of(subject.recipe.build.builder)
    tree = put_source(subject, work, layout, log)
    metadata = read_project_metadata(tree)
    variables = {"CCACHE_DISABLE": "1", **(SAME_RUST_VARIABLES if mode == SAME_RUST else {})}
    recipe, timed = with_variables(subject.recipe, variables), TimedSandbox(sandbox)
    job = BuildJob(
        sandbox=timed,
        folder=work.parent,
        recipe=recipe,
        metadata=metadata,
        python=Target().python,
        log=log,
        jobs=processors(),
    )
    installed = builder.install_requirements(job, ())
    requirements = timed.lap()
    runs = 1
    try:
        builder.build_wheel(job, installed)
    except NeedsRiscv64Python:
        put_source(subject, work, layout, log)
        builder.build_wheel(job, installed)
        runs = 2
    build = timed.lap()
    sandbox.run(Command(["sh", "-c", TOOLS]), log=log)
    objects = sum(1 for name in ("src", "objects") for _ in (work / name).rglob("*.o"))
    tools = (work / "tools").read_text().splitlines()
    package = subject.recipe.label
    return Build(
        package=package,
        mode=mode,
        requirements=requirements,
        build=build,
        objects=objects,
        runs=runs,
        tools=tools,
    )


def put_source(subject: Subject, work: Path, layout: Layout, log: LogSink) -> SourceTree:
    """Put the patched source into /build/src, in place of a half-built one."""
    discard(work / "objects")
    discard(work / "src")
    tree = fetch(subject.recipe.source, layout.downloads, work.with_name("source"), log)
    prepare(subject.recipe.source, subject.patches, tree, log)
    tree.path.rename(work / "src")
    return replace(tree, path=work / "src")


def with_variables(recipe: Recipe, variables: Mapping[str, str]) -> Recipe:
    environment = {**recipe.build.environment, **variables}
    return replace(recipe, build=replace(recipe.build, environment=environment))


def by_package_and_mode(builds: Sequence[Build]) -> dict[str, dict[str, list[Build]]]:
    found: dict[str, dict[str, list[Build]]] = {}
    for build in builds:
        found.setdefault(build.package, {}).setdefault(build.mode, []).append(build)
    return found


def ratios(modes: Mapping[str, Sequence[Build]]) -> dict[str, Seconds]:
    """Divide the medians of two modes of a package."""
    medians = {
        mode: Seconds(wall=median(run.build.wall for run in runs), cpu=median(run.build.cpu for run in runs))
        for mode, runs in modes.items()
    }
    return {
        f"{above}/{below}": Seconds(
            wall=medians[above].wall / medians[below].wall, cpu=medians[above].cpu / medians[below].cpu
        )
        for above, below in RATIOS
        if {above, below} <= medians.keys()
    }


def print_json(subjects: Sequence[Subject], load: float, builds: Sequence[Build]) -> None:
    document = {
        "packages": {subject.recipe.label: subject.note for subject in subjects},
        "cores": os.cpu_count(),
        "load": load,
        "builds": [asdict(build) for build in builds],
        "ratios": {
            package: {name: asdict(ratio) for name, ratio in ratios(modes).items()}
            for package, modes in by_package_and_mode(builds).items()
        },
    }
    print(json.dumps(document, indent=1))


def print_text(subjects: Sequence[Subject], load: float, builds: Sequence[Build]) -> None:
    for subject in subjects:
        print(f"{subject.recipe.label}: {subject.note}")
    print(f"{os.cpu_count()} cores, load {load:.1f} before the builds; seconds, of several runs min/median/max\n")
    found = by_package_and_mode(builds)
    rows = [
        [
            package,
            mode,
            *(spread(map(column, runs)) for column in COLUMNS.values()),
            str(runs[0].objects),
            shown_runs(runs),
        ]
        for package, modes in found.items()
        for mode, runs in modes.items()
    ]
    print_table(["package", "mode", *COLUMNS, "objects", "runs"], rows)
    print()
    compared = [
        [package, name, f"{ratio.wall:.2f}", f"{ratio.cpu:.2f}"]
        for package, modes in found.items()
        for name, ratio in ratios(modes).items()
    ]
    print_table(["package", "medians of", "wall", "CPU"], compared)
    print()
    for mode, tools in {build.mode: build.tools for build in builds}.items():
        print(f"{mode}: {', '.join(tools)}")


def shown_runs(builds: Sequence[Build]) -> str:
    """Return how often each build ran."""
    return "/".join(sorted({str(build.runs) for build in builds}))


def spread(values: Iterable[float]) -> str:
    found = sorted(values)
    shown = found if len(found) == 1 else [found[0], median(found), found[-1]]
    return "/".join(f"{value:.1f}" for value in shown)


if __name__ == "__main__":
    sys.exit(main())
