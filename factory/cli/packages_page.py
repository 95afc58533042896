"""Page of all recipes: their lines and patches, and the cost and checks of their wheels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from packaging.utils import canonicalize_name, canonicalize_version

from factory.cli.summary_table import plain_table
from factory.model.recipe import Recipe
from factory.publish.build_facts import BuildFact, newest
from factory.recipes.loader import RECIPE_FILE
from factory.site.filters import duration, size
from factory.stages.sources.patches import select
from factory.util.quantities import quantity

HEADINGS = ("recipe", "version", "lines", "patches", "build time", "processor time", "size", "Python", "checked on")
# Columns that the recipes alone decide.
STATED = 4
NOT_BUILT = ("not built", *[""] * (len(HEADINGS) - STATED - 1))
HEADER = """\
# Packages

All recipes of this repository. `factory report --packages docs/packages.md` writes this page from the recipes and
this machine's build records; where these lack a version, its build stays as it was.

Lines are those of `recipe.toml` without comments and empty ones, patches those of the source. Times are of all stages
of the newest build, check included, on machines with two processors that often ran other builds beside.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSize:
    """A recipe's name and version, with its number of lines and patches."""

    name: str
    version: str
    lines: int
    patches: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the page that need no build."""
        return (self.name, self.version, str(self.lines), str(self.patches))


def measure(recipe: Recipe, patches: Path) -> RecipeSize:
    """Count a recipe's lines and the patches of its source in the folder of all patches."""
    lines = (recipe.directory / RECIPE_FILE).read_text(encoding="utf-8").splitlines()
    return RecipeSize(
        name=recipe.name,
        version=recipe.version,
        lines=sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines),
        patches=len(select(patches, recipe.source)),
    )


def render_packages(sizes: Sequence[RecipeSize], facts: Iterable[BuildFact], before: str) -> str:
    """Return the page; `before` is its text so far, which keeps builds without a fact."""
    known, kept = list(newest(facts)), {tuple(cells[:2]): cells[STATED:] for cells in rows_of(before)}
    rows = [(*each.cells, *(_build(each, known) or kept.get(each.cells[:2], NOT_BUILT))) for each in sizes]
    return f"{HEADER}\n{summarize(sizes)}\n\n{plain_table(HEADINGS, rows)}\n"


def summarize(sizes: Sequence[RecipeSize]) -> str:
    """Return the sentence on the recipes' lengths."""
    if not sizes:
        return "There is no recipe."
    lines = [each.lines for each in sizes]
    return f"{quantity(len(sizes), 'recipe')}: {mean(lines):.1f} lines on average; the median is {median(lines):g}."


def _build(recipe: RecipeSize, facts: Sequence[BuildFact]) -> tuple[str, ...]:
    """Return the cells of the newest build of a recipe's version, or none."""
    found = [each for each in facts if _is_of(each, recipe)]
    if not found:
        return ()
    last = max(found, key=lambda each: each.finished)
    return (
        duration(last.seconds),
        duration(last.processors) if last.processors else "not recorded",
        size(last.size),
        " ".join(sorted({python for each in found for python in each.pythons})),
        " ".join(last.profiles),
    )


def _is_of(fact: BuildFact, recipe: RecipeSize) -> bool:
    same = canonicalize_name(fact.recipe) == canonicalize_name(recipe.name)
    return same and canonicalize_version(fact.version.partition("-")[0]) == canonicalize_version(recipe.version)


def rows_of(page: str) -> Iterator[tuple[str, ...]]:
    """Iterate over the cells of the page's rows."""
    for line in page.splitlines():
        cells = tuple(cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|"))
        if len(cells) == len(HEADINGS) and cells[0] not in ("---", HEADINGS[0]):
            yield cells
