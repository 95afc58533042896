"""`factory check`: install a built package from an index into a clean riscv64 root and run its check."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.options import add_build_options, add_python_option, add_toolchain_option, make_run
from factory.errors import CheckFailed, PrerequisiteMissing, RecipeError
from factory.model.recipe import Recipe
from factory.model.record import CheckResult
from factory.model.target import NATIVE_MODE, PROFILES
from factory.pipeline.check import PackageCheck, stored_beside
from factory.pipeline.run import Run
from factory.util.jsonio import dumps
from factory.util.scratch import own_folder

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="a package that was built")
    parser.add_argument(
        "--profile", action="append", choices=PROFILES, help="run on this CPU only; repeatable (default: the recipe's)"
    )
    parser.add_argument("--index", type=Path, metavar="DIR", help="install from this published index")
    parser.add_argument(
        "--suite", action="store_true", help="run the project's own tests, as the recipe's [suite] says"
    )
    add_python_option(parser)
    add_toolchain_option(parser)
    add_build_options(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Check and print what each profile showed."""
    chosen = make_run(args)
    recipe = _with_suite(chosen.recipes.find(args.name), wanted=args.suite)
    config = chosen.config.for_python(args.python, args.toolchain or recipe.toolchain)
    results = _check(PackageCheck(recipe=recipe, run=chosen.with_config(config)), args)
    if args.json:
        print(dumps(results), end="")
    return 0


def _with_suite(recipe: Recipe, *, wanted: bool) -> Recipe:
    """The recipe with its suite in the place of its check, if that is wanted."""
    if not wanted:
        return recipe
    if recipe.suite is None:
        raise RecipeError(
            f"{recipe.label} has no suite",
            hint=f"add a table [suite] with `script` to {recipe.directory / 'recipe.toml'}",
        )
    return replace(recipe, check=recipe.suite)


def _check(check: PackageCheck, args: argparse.Namespace) -> tuple[CheckResult, ...]:
    run, recipe = check.run, check.recipe
    if args.profile and run.config.mode == NATIVE_MODE:
        raise PrerequisiteMissing(
            "QEMU stands in for the CPUs that --profile names; a riscv64 machine has its own",
            hint="leave --profile out",
        )
    profiles = args.profile or check.profiles
    open_stage = run.stages(run.config.label(recipe))
    with own_folder(run.layout.jobs, "check", recipe.name, keep=run.keep) as folder, open_stage("check") as log:
        if args.index is not None:
            return check.run_check(args.index, folder / "work", profiles, log)
        wheel = _built(recipe, run)
        return check.check_wheel(wheel, stored_beside(wheel, run.store), folder, profiles, log)


def _built(recipe: Recipe, run: Run) -> Path:
    """Return the newest wheel of the run's Python and toolchain.

    Raises:
        CheckFailed: there is none.
    """
    python, toolchain = run.config.target.python, run.config.toolchain
    record = run.store.latest(canonicalize_name(recipe.name), python, toolchain)
    if record is None:
        options = recipe.options_for(python, toolchain)
        raise CheckFailed(
            f"{run.config.label(recipe)} was not built yet", hint=f"run: factory build {recipe.name} {options}"
        )
    return run.store.wheel_path(record)
