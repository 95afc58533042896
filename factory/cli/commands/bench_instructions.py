"""`factory bench instructions`: count the instructions of a package."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from factory.bench.instructions.benchmark import measure as count
from factory.bench.instructions.report import report
from factory.bench.results import Results
from factory.cli.options import add_build_options, add_python_option, run_for_python
from factory.errors import FactoryError, PrerequisiteMissing, StoreError
from factory.model.recipe import Recipe
from factory.model.target import ALL_PROFILES, DEFAULT_PROFILES, NATIVE_MODE
from factory.pipeline.run import Run


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="package whose recipe has a bench.py")
    add_case_options(parser, ", ".join(DEFAULT_PROFILES))
    parser.add_argument(
        "--wheel",
        action="append",
        default=[],
        type=split_label,
        metavar="[LABEL=]FILE",
        help="wheel of the package; repeatable, to compare wheels (default: the newest build)",
    )
    add_python_option(parser)
    add_build_options(parser)


def add_case_options(parser: argparse.ArgumentParser, profiles: str) -> None:
    """Declare the cases to count and the profiles; `profiles` names the default ones."""
    parser.add_argument("--case", action="append", default=[], help="count only this case; repeatable (default: all)")
    help_text = f"CPU to run on; repeatable (default: {profiles})"
    parser.add_argument("--profile", action="append", choices=ALL_PROFILES, help=help_text)


def measure(args: argparse.Namespace) -> Results:
    """Count the instructions of the chosen cases."""
    chosen = run_for_python(args)
    require_emulation(chosen)
    recipe = chosen.recipes.find(args.name)
    wheels = _by_label(args.wheel) or _newest(recipe, chosen)
    for wheel in wheels.values():
        _require_wheel_of(recipe, wheel)
    return report(recipe.label, count(recipe, wheels, args.profile or DEFAULT_PROFILES, args.case, chosen))


def split_label(text: str) -> tuple[str, Path]:
    """Split `LABEL=FILE`; without a label, make one from the file name."""
    label, equals, file = text.partition("=")
    if equals and "/" not in label:
        return label, Path(file)
    return "-".join(Path(text).name.split("-")[:2]), Path(text)


def require_emulation(run: Run) -> None:
    """Check that riscv64 programs run under QEMU.

    Raises:
        PrerequisiteMissing: they run on the machine's own CPU.
    """
    if run.config.mode == NATIVE_MODE:
        raise PrerequisiteMissing(
            "bench: cannot count instructions: riscv64 programs do not run under QEMU on this machine",
            hint="count on an x86-64 machine, or use `perf stat` here",
        )


def _by_label(wheels: Sequence[tuple[str, Path]]) -> Mapping[str, Path]:
    labels = [label for label, _ in wheels]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise FactoryError(f"--wheel: two wheels have the label {twice[0]!r}", hint="--wheel old=FILE --wheel new=FILE")
    return dict(wheels)


def _newest(recipe: Recipe, run: Run) -> Mapping[str, Path]:
    wheel = run.store.wheel_path(run.newest(recipe, run.config.target.python))
    return dict([split_label(str(wheel))])


def _require_wheel_of(recipe: Recipe, wheel: Path) -> None:
    try:
        name = parse_wheel_filename(wheel.name)[0]
    except InvalidWheelFilename as error:
        raise StoreError(f"--wheel {wheel}: not the name of a wheel: {error}") from error
    if name != canonicalize_name(recipe.project):
        raise StoreError(f"--wheel {wheel}: it is a wheel of {name}, not of {recipe.project}")
    if not wheel.is_file():
        raise StoreError(f"--wheel {wheel}: no such file", hint=f"factory build {recipe.name}")
