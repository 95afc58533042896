"""Markdown report on the state of all builds, for the summary of a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from factory.cli.commands.coverage import STACK_HEADINGS, stack_rows
from factory.cli.summary_table import escape, markdown
from factory.model.recipe import Recipe
from factory.model.record import BuildFailure
from factory.publish.build_facts import BuildFact, counted, growths, newest, slowest
from factory.site.coverage_table import StackTable
from factory.site.filters import day, duration, size
from factory.util.quantities import quantity

SLOWEST, GROWTHS, VERSIONS = 10, 20, 4
UNKNOWN = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """State of a project: recipes, facts of builds, failures, and coverage.

    The coverage of stacks is that of the time `gathered`.
    """

    time: str
    recipes: Sequence[Recipe]
    facts: Sequence[BuildFact]
    failures: Sequence[BuildFailure]
    stacks: Sequence[StackTable]
    gathered: str


def render_status(status: Status) -> str:
    """Return the report."""
    sections = (
        ("Failing", _failing(status), "No recipe's last build failed."),
        ("Recipes", _recipes(status), "There is no recipe."),
        ("Slowest builds", _slowest(status), "There is no build."),
        ("Compiler cache", _cache(status), "No build record has ccache's counters."),
        ("Sizes over time", _sizes(status), "No recipe has wheels of two versions."),
        (_coverage_title(status), _coverage(status), "There is no coverage.json: run factory coverage."),
    )
    text = "\n\n".join(f"## {title}\n\n{table or instead}" for title, table, instead in sections)
    return f"# Factory on {escape(day(status.time))}\n\n{_summary(status)}\n\n{text}\n"


def _summary(status: Status) -> str:
    built = {canonicalize_name(fact.recipe) for fact in status.facts}
    ours = [canonicalize_name(recipe.name) for recipe in status.recipes]
    number = sum(name in built for name in ours)
    failing = len({failure.name for failure in status.failures})
    return f"{quantity(len(ours), 'recipe')}: {number} built, {len(ours) - number} not built; {failing} failing."


def _failing(status: Status) -> str:
    rows = [
        (each.name, each.version, each.python, each.stage, day(each.first), day(each.finished), each.message)
        for each in status.failures
    ]
    return _table(("recipe", "version", "Python", "stage", "since", "last", "message"), rows)


def _recipes(status: Status) -> str:
    rows = [row for recipe in status.recipes for row in _rows_of(recipe, status)]
    headings = ("recipe", "version", "built", "Python", "passed on", "time", "processor time", "memory", "size", "when")
    return _table(headings, rows)


def _rows_of(recipe: Recipe, status: Status) -> Iterator[Sequence[str]]:
    """Iterate over a row for each tag of the recipe's newest wheels.

    Without wheels, one row says so.
    """
    name = canonicalize_name(recipe.name)
    facts = [each for each in newest(status.facts) if canonicalize_name(each.recipe) == name]
    if not facts:
        yield (recipe.name, recipe.version, "no", *[""] * 7)
    for each in facts:
        yield (
            recipe.name,
            recipe.version,
            each.version,
            " ".join(each.pythons),
            " ".join(each.profiles),
            duration(each.seconds),
            _processors(each),
            size(each.memory) if each.memory else UNKNOWN,
            size(each.size),
            day(each.finished),
        )


def _processors(fact: BuildFact) -> str:
    return duration(fact.processors) if fact.processors else UNKNOWN


def _slowest(status: Status) -> str:
    rows = [
        (f"{each.recipe} {each.version}", each.tag, duration(each.seconds), _processors(each))
        for each in slowest(status.facts, SLOWEST)
    ]
    return _table(("build", "tag", "time", "processor time"), rows)


def _cache(status: Status) -> str:
    rows = []
    for each in counted(status.facts):
        hits, misses = each.hits or 0, each.misses or 0
        rows.append((f"{each.recipe} {each.version}", each.tag, str(hits + misses), str(hits), _share(hits, misses)))
    return _table(("build", "tag", "compilations", "from the cache", "share"), rows)


def _share(hits: int, misses: int) -> str:
    return f"{hits / (hits + misses):.0%}" if hits + misses else ""


def _sizes(status: Status) -> str:
    rows = []
    for each in growths(status.facts)[:GROWTHS]:
        sizes = (f"{wheel.version}: {size(wheel.size)}" for wheel in each.wheels[-VERSIONS:])
        rows.append((each.recipe, each.tag, ", ".join(sizes), f"{each.change:+.1%}"))
    return _table(("recipe", "tag", "the last versions", "last change"), rows)


def _coverage_title(status: Status) -> str:
    return f"Coverage, as of {escape(status.gathered)}" if status.gathered else "Coverage"


def _coverage(status: Status) -> str:
    return _table(STACK_HEADINGS, stack_rows(status.stacks))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown(headings, rows) if rows else ""
