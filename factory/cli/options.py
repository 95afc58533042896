"""Options shared by several commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from factory.cli.console import Reporter
from factory.cli.project_options import add_project_option
from factory.model.recipe import Recipe
from factory.model.target import PYTHONS, TOOLCHAINS
from factory.pipeline.config import BuildConfig
from factory.pipeline.run import Run
from factory.pipeline.selection import default_python
from factory.recipes.loader import all_lines
from factory.recipes.recipe_set import RecipeSet
from factory.stages.builders.ccache import configured
from factory.stages.environments.registry import DEFAULT_ENVIRONMENT, ENVIRONMENTS
from factory.stages.environments.roots import MODES, default_mode
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.util.paths import default_layout
from factory.util.project import project_folder

DEFAULT_MODE = default_mode()
RECIPES_PYTHON = f"{PYTHONS[0]}, or the first that the recipe allows"


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that open the roots of recipes' builds or checks."""
    add_plan_options(parser)
    add_keep_option(parser)


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that read recipes, and make no job."""
    add_project_option(parser)
    add_mode_options(parser)


def add_mode_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that make roots, and read no recipe."""
    add_environment_option(parser)
    parser.add_argument("--mode", choices=MODES, default=DEFAULT_MODE, help="how compilers run (default: %(default)s)")


def add_keep_option(parser: argparse.ArgumentParser) -> None:
    """Declare whether jobs' folders are kept."""
    parser.add_argument("--keep", action="store_true", help="keep the job's folder and writable root")


def recipe_set(args: argparse.Namespace) -> RecipeSet:
    """Return the recipes of the project folder.

    A command without that option uses none.

    Raises:
        RecipeError: there is no project folder.
    """
    return RecipeSet(project_folder(args.project) if "project" in args else Path.cwd(), SOURCE_KINDS)


def split_names(words: Sequence[str]) -> list[str]:
    """Split words at spaces and commas: an input of a workflow has several names, quoted."""
    return [name for word in words for name in re.split(r"[\s,]+", word) if name]


def add_environment_option(parser: argparse.ArgumentParser) -> None:
    """Declare the environment."""
    parser.add_argument(
        "--environment",
        choices=ENVIRONMENTS,
        default=DEFAULT_ENVIRONMENT,
        help="environment that commands run in (default: %(default)s)",
    )


def add_python_option(parser: argparse.ArgumentParser) -> None:
    """Declare a single Python."""
    parser.add_argument("--python", choices=PYTHONS, default=PYTHONS[0], help="Python version (default: %(default)s)")


def add_recipes_python_option(parser: argparse.ArgumentParser) -> None:
    """Declare a single Python that `run_for_recipe` and `run_for_python` read."""
    parser.add_argument("--python", choices=PYTHONS, help=f"Python version (default: {RECIPES_PYTHON})")


def add_pythons_option(parser: argparse.ArgumentParser, default: str = PYTHONS[0]) -> None:
    """Declare the Pythons that `wanted_pythons` reads, or with RECIPES_PYTHON `named_pythons`."""
    help_text = f"Python version; repeatable (default: {default})"
    parser.add_argument("--python", action="append", choices=PYTHONS, help=help_text)


def named_pythons(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the Pythons that the options name, each once.

    Without any, each recipe has its default.
    """
    return tuple(dict.fromkeys(args.python or ()))


def wanted_pythons(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the Pythons that the options name, each once."""
    return named_pythons(args) or PYTHONS[:1]


def add_toolchain_option(parser: argparse.ArgumentParser) -> None:
    """Declare a single toolchain."""
    help_text = "toolchain of the build (default: the recipe's first)"
    parser.add_argument("--toolchain", choices=TOOLCHAINS, help=help_text)


def add_toolchains_option(parser: argparse.ArgumentParser) -> None:
    """Declare toolchains that replace those of the recipes."""
    help_text = "C and C++ compilers of the named packages, not of dependencies; repeatable (default: the recipe's)"
    parser.add_argument("--toolchain", action="append", choices=TOOLCHAINS, help=help_text)


def make_run(args: argparse.Namespace) -> Run:
    """Return the run that the options describe."""
    return Run(
        layout=default_layout(),
        recipes=recipe_set(args),
        reporter=Reporter(),
        config=BuildConfig(mode=args.mode, environment=args.environment),
        keep=getattr(args, "keep", False),
        compiler_cache=configured(),
    )


def readable_recipes(run: Run) -> Sequence[Recipe]:
    """Return all recipes of the run that can be read; report the mistakes of the others."""
    for problem in all_lines(run.recipes.by_name.mistakes):
        run.reporter.line(f"recipe left out: {problem}")
    return tuple(run.recipes.by_name.values())


def run_for_python(args: argparse.Namespace) -> Run:
    """Return the run that the options describe, for their Python or the recipe's default."""
    chosen = make_run(args)
    return chosen.with_config(chosen.config.for_python(args.python or default_python(args.name, chosen)))


def run_for_recipe(args: argparse.Namespace, run: Run, recipe: Recipe) -> Run:
    """Return the run for the Python and toolchain of the options, or the recipe's."""
    python = args.python or default_python(recipe.name, run)
    return run.with_config(run.config.for_python(python, args.toolchain or recipe.toolchain))
