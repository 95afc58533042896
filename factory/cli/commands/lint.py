"""`factory lint`: find mistakes and dead options in recipes and patches."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from factory.cli.annotations import annotate
from factory.cli.console import Reporter
from factory.cli.options import recipe_set
from factory.cli.printable import printable
from factory.cli.project_options import add_project_option
from factory.errors import RecipeError
from factory.host.privileges import become_root
from factory.model.recipe import Recipe
from factory.pipeline.lint.finding import Finding
from factory.pipeline.lint.lint import in_order, lint
from factory.recipes.recipe_set import RecipeSet
from factory.util.paths import default_layout, shown_path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "names", nargs="*", default=(), metavar="NAME", help="recipe (default: all, and what no recipe uses)"
    )
    add_project_option(parser)
    parser.add_argument(
        "--online",
        action="store_true",
        help="also check that sources are where they come from, that patches apply and Debian has the packages",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the findings; return RecipeError's exit code if there is one."""
    if args.online:
        become_root()  # it owns the cache
    folder = recipe_set(args)
    recipes, found = lint(args.names, folder)
    if args.online:
        found = in_order([*found, *_look_up(recipes, folder)])
    shown = [replace(each, file=shown_path(each.file)) for each in found]
    _print(shown, len(recipes), as_json=args.json)
    if shown:
        annotate("\n".join(map(str, shown)))
    return RecipeError.exit_code if found else 0


def _look_up(recipes: Sequence[Recipe], folder: RecipeSet) -> Sequence[Finding]:
    from factory.pipeline.lint.online import OnlineLint

    layout = default_layout()
    with Reporter().stage("recipes", "lint", layout.logs / "lint" / "online.log") as log:
        return list(OnlineLint(layout=layout, patches=folder.patches, log=log).check(recipes))


def _print(found: Sequence[Finding], recipes: int, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(each) | {"file": str(each.file)} for each in found], indent=1))
        return
    for each in found:
        print(printable(str(each)))
    print(f"recipes: {recipes}, findings: {len(found)}")
