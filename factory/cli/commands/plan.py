"""`factory plan`: show the jobs of a build, their state and time, or their values."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from factory.cli.build_matrix import add_matrix_options, print_matrix
from factory.cli.console import print_table
from factory.cli.options import (
    DEFAULT_MODE,
    RECIPES_PYTHON,
    add_plan_options,
    add_pythons_option,
    add_toolchains_option,
    make_run,
    named_pythons,
    split_names,
)
from factory.model.job import Job
from factory.model.record import BuildFailure
from factory.pipeline.estimates import estimate_lines
from factory.pipeline.explain import DEFAULT, Explanation, Value
from factory.pipeline.metadata import describe
from factory.pipeline.outlook import Outlook, forecast
from factory.pipeline.plan import plan_each
from factory.pipeline.run import Run
from factory.pipeline.selection import Selection, pairs, select, touched_with_dependants
from factory.stages.environments.registry import DEFAULT_ENVIRONMENT
from factory.stages.sources import patches
from factory.util.paths import shown_path

NEEDS_ROOT = True
COMMAND_LINE = "command line"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "names", nargs="*", default=(), metavar="NAME", help="recipe: a folder below recipes/; '' means all of them"
    )
    parser.add_argument("--all", action="store_true", help="all recipes, each for the Pythons that it allows")
    parser.add_argument(
        "--changed-since",
        metavar="REV",
        help="the recipes whose files or patches differ from this revision of git, and those that need them",
    )
    parser.add_argument("--explain", action="store_true", help="show each value of the named recipes with its origin")
    add_pythons_option(parser, RECIPES_PYTHON)
    add_toolchains_option(parser)
    add_plan_options(parser)
    parser.add_argument("--json", action="store_true", help="print the jobs or the values as JSON")
    add_matrix_options(parser)
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    """Print a table of the jobs, or of the values of the named ones."""
    if sum(map(bool, (args.names, args.all, args.changed_since))) != 1:
        args.refuse("give either names of recipes, or --all, or --changed-since REV")
    names = split_names(args.names)
    chosen = make_run(args)
    if args.github_matrix:
        print_matrix(_selection(names, chosen, args), chosen, args)
        return 0
    toolchains = tuple(dict.fromkeys(args.toolchain or ()))
    if names:
        wanted = pairs(names, named_pythons(args), chosen)
        jobs: Sequence[Job] = plan_each(wanted, chosen.recipes.by_name, lambda each: describe(each, chosen), toolchains)
        refused: Sequence[BuildFailure] = ()
    else:
        found = _selection(names, chosen, args)
        jobs, refused = found.jobs, found.refused
    if args.explain:
        named = {chosen.recipes.find(name).name for name in names or [job.recipe.name for job in jobs]}
        _print_values([job for job in jobs if job.recipe.name in named], chosen, args)
    else:
        outlooks = forecast(chosen).outlooks(jobs)
        if args.json:
            print(json.dumps([*map(_as_json, outlooks), *map(_refused_as_json, refused)], indent=1))
        else:
            _print_jobs(outlooks, chosen)
    return 0


def _selection(names: Sequence[str], run: Run, args: argparse.Namespace) -> Selection:
    """Select recipes for the Pythons that they allow; say which can't be planned."""
    pythons = named_pythons(args)
    if args.changed_since:
        found = touched_with_dependants(args.changed_since, pythons, run)
    else:
        if not names:
            run.recipes.require_all()
        found = select(names or run.recipes.by_name, pythons, run)
    for failure in found.refused:
        run.reporter.line(f"{failure.name} {failure.version}: not planned: {failure.message}")
    return found


def _print_jobs(found: Sequence[Outlook], run: Run) -> None:
    rows = [
        (
            each.job.label,
            each.job.python,
            " ".join(sorted(each.job.build_needs | each.job.run_needs)),
            f"built: {each.record.wheel}" if each.record else f"{each.task}: {'; '.join(each.reasons)}",
        )
        for each in found
    ]
    print_table(("job", "Python", "needs", "state"), rows)
    for line in estimate_lines(found, run):
        print(line)


def _as_json(outlook: Outlook) -> dict[str, object]:
    job = outlook.job
    return {
        "name": job.id[0],
        "version": job.recipe.version,
        "python": job.python,
        "toolchain": job.toolchain,
        "build_needs": sorted(job.build_needs),
        "run_needs": sorted(job.run_needs),
        "key": outlook.key,
        "wheel": outlook.record.wheel if outlook.record else "",
        "reasons": outlook.reasons,
        "problem": "",
    }


def _refused_as_json(failure: BuildFailure) -> dict[str, object]:
    """Return a recipe that cannot be planned as a job with a problem, and without a key."""
    names = {"name": failure.name, "version": failure.version, "python": failure.python, "toolchain": ""}
    needs: dict[str, object] = {"build_needs": [], "run_needs": []}
    return {**names, **needs, "key": "", "wheel": "", "reasons": [], "problem": failure.message}


def _print_values(jobs: Sequence[Job], run: Run, args: argparse.Namespace) -> None:
    explained = {job.label: [_relative(value) for value in _values(job, run, args)] for job in jobs}
    if args.json:
        print(json.dumps({label: [asdict(value) for value in values] for label, values in explained.items()}, indent=1))
        return
    for label, values in explained.items():
        print_table((label, "value", "origin"), [(value.key, value.value, value.origin) for value in values])


def _values(job: Job, run: Run, args: argparse.Namespace) -> Iterator[Value]:
    explanation, recipe = Explanation.of(job.recipe), job.recipe
    toolchain = COMMAND_LINE if args.toolchain else "build.toolchains"
    yield Value(key="Python", value=job.python, origin=COMMAND_LINE if args.python else DEFAULT)
    yield Value(key="toolchain", value=job.toolchain, origin=toolchain)
    for key, value, default in (
        ("mode", args.mode, DEFAULT_MODE),
        ("environment", args.environment, DEFAULT_ENVIRONMENT),
    ):
        yield Value(key=key, value=value, origin=DEFAULT if value == default else COMMAND_LINE)
    yield from explanation.values()
    yield from explanation.profiles(run.config.profiles(recipe))
    yield from explanation.requirements(job)
    for patch in patches.select(run.recipes.patches, recipe.source):
        header = patches.read_header(patch)
        yield Value(key="patch", value=header.subject, origin=f"{patch}:1")


def _relative(value: Value) -> Value:
    file, separator, line = value.origin.rpartition(":")
    return replace(value, origin=f"{shown_path(Path(file))}:{line}") if separator else value
