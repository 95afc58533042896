"""`factory why`: show what a package needs, what needs it, and why it would be built."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from packaging.utils import canonicalize_name

from factory.cli.options import RECIPES_PYTHON, add_plan_options, add_pythons_option, make_run, named_pythons
from factory.cli.printable import printable
from factory.pipeline.graph import Dependent, dependents
from factory.pipeline.metadata import describe
from factory.pipeline.outlook import Outlook, forecast
from factory.pipeline.plan import plan
from factory.pipeline.run import Run
from factory.pipeline.selection import pairs
from factory.util.paths import short

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="recipe: a folder below recipes/")
    add_pythons_option(parser, RECIPES_PYTHON)
    add_plan_options(parser)
    parser.add_argument("--json", action="store_true", help="print the graph and the reasons as JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The graph around a package, and its stored build or the reasons to build it."""

    package: str
    python: str
    needs_to_build: tuple[str, ...]
    needs_to_run: tuple[str, ...]
    needed_by: tuple[Dependent, ...]
    key: str
    wheel: str
    finished: str
    task: str
    reasons: tuple[str, ...]


def run(args: argparse.Namespace) -> int:
    """Print the answer for each Python."""
    chosen = make_run(args)
    answers = [_answer(name, python, chosen) for name, python in pairs([args.name], named_pythons(args), chosen)]
    if args.json:
        print(json.dumps([asdict(answer) for answer in answers], indent=1))
    else:
        print(printable("\n".join(line for answer in answers for line in _lines(answer))))
    return 0


def _answer(name: str, python: str, run: Run) -> Answer:
    recipe = run.recipes.find(name)
    recipes = run.recipes.by_name
    jobs = plan([name], [python], recipes, lambda each: describe(each, run), [recipe.toolchain])
    own: Outlook = next(
        each for each in forecast(run).outlooks(jobs) if each.job.id == (canonicalize_name(recipe.name), python, "")
    )
    return Answer(
        package=recipe.label,
        python=python,
        needs_to_build=_labels(own.job.build_needs, run),
        needs_to_run=_labels(own.job.run_needs, run),
        needed_by=tuple(dependents(own.job.id[0], python, recipes, lambda each: describe(each, run))),
        key=own.key,
        wheel=own.record.wheel if own.record else "",
        finished=own.record.finished if own.record else "",
        task="" if own.record else own.task,
        reasons=own.reasons,
    )


def _labels(names: frozenset[str], run: Run) -> tuple[str, ...]:
    return tuple(run.recipes.find(name).label for name in sorted(names))


def _lines(answer: Answer) -> Sequence[str]:
    needed = [f"{each.package} ({' and '.join(each.uses)})" for each in answer.needed_by]
    state = f"built: {answer.wheel}, {answer.finished}" if answer.wheel else answer.task
    return (
        f"{answer.package}, Python {answer.python}",
        f"  {state}" + (f", key {short(answer.key)}" if answer.key else ""),
        *(f"    {reason}" for reason in answer.reasons),
        f"  needs to build: {', '.join(answer.needs_to_build) or 'no other recipe'}",
        f"  needs to run: {', '.join(answer.needs_to_run) or 'no other recipe'}",
        f"  needed by: {', '.join(needed) or 'no other recipe'}",
    )
