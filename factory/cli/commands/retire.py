"""`factory retire`: propose recipes whose projects publish good riscv64 wheels themselves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from factory.cli.console import print_table
from factory.cli.options import add_build_options, make_run, readable_recipes

if TYPE_CHECKING:  # pypi-simple takes half a second
    from factory.pipeline.retire import Verdict

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "names", nargs="*", default=(), metavar="NAME", help="recipe (default: all of projects on the index)"
    )
    parser.add_argument("--check", action="store_true", help="also run the recipes' checks with the projects' wheels")
    add_build_options(parser)
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")


def run(args: argparse.Namespace) -> int:
    """Print a verdict on each recipe."""
    from factory.pipeline.retire import NO_WHEEL, Verdict, judge

    chosen = make_run(args)
    recipes = chosen.recipes
    named = [recipes.find(name) for name in args.names]
    wanted = named or [each for each in readable_recipes(chosen) if each.shadows_upstream]
    verdicts = [judge(recipe, chosen, with_check=args.check) for recipe in wanted]
    if args.json:
        unread = {} if named else recipes.by_name.mistakes
        verdicts += [Verdict(name=name, version="", reasons=tuple(unread[name])) for name in unread]
        print(json.dumps([asdict(verdict) | {"retire": not verdict.reasons} for verdict in verdicts], indent=1))
    else:
        _print(verdicts, NO_WHEEL)
    return 0


def _print(verdicts: Sequence[Verdict], no_wheel: str) -> None:
    rows = [row for verdict in verdicts if verdict.reasons != (no_wheel,) for row in _rows(verdict)]
    if rows:
        print_table(("recipe", "version", "its project's", "files", "verdict"), rows)
    if names := ", ".join(verdict.name for verdict in verdicts if verdict.reasons == (no_wheel,)):
        print(f"projects without riscv64 wheels: {names}")


def _rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    results = [f"audit: {text}" for text in dict.fromkeys(verdict.audits.values())]
    results += [f"check: {text}" for text in dict.fromkeys(verdict.checks.values())]
    words = [f"keep: {reason}" for reason in verdict.reasons] or [f"may be retired ({'; '.join(results)})"]
    head = (verdict.name, verdict.version, verdict.upstream, str(len(verdict.audits)))
    for number, word in enumerate(words):
        yield (*(("",) * len(head) if number else head), word)
