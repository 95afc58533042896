"""`factory bump`: pin newer versions in recipes, and say what changes with them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

from factory.cli.options import add_plan_options, make_run, readable_recipes, split_names
from factory.cli.printable import printable
from factory.errors import PatchError, SourceError
from factory.host.ownership import owned_by_user
from factory.model.recipe import Recipe
from factory.pipeline.run import Run
from factory.recipes.loader import RECIPE_FILE
from factory.util.paths import shown_path

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="*", default=(), metavar="NAME", help="recipe (default: all)")
    parser.add_argument("--check", action="store_true", help="only tell: change no recipe and no patch")
    parser.add_argument(
        "--fitting",
        action="store_true",
        help="leave alone what needs a person: recipes with a patch that does not apply, or without a source; status 0",
    )
    add_plan_options(parser)
    parser.add_argument("--json", action="store_true", help="print the versions as JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A recipe with its newest version, the pinned one if there is no newer one.

    `failed` maps the patches that do not apply to the reason. `problem` says why no version is known.
    """

    name: str
    pinned: str
    newest: str
    applied: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    refused: bool = False


def run(args: argparse.Namespace) -> int:
    """Print what is newer.

    The exit code is an error's if a patch does not apply or a project is not on the index.
    """
    chosen = make_run(args)
    if not args.check:
        chosen.recipes.require_all()  # patches that another recipe needs are kept
    recipes, folder = chosen.recipes, chosen.recipes.folder
    wanted = [recipes.find(name) for name in split_names(args.names)] or readable_recipes(chosen)
    answers = []
    with owned_by_user(folder / "recipes", folder / "patches"):
        for recipe in {each.name: each for each in wanted}.values():
            answer = _bump(recipe, chosen, write=not args.check, fitting=args.fitting)
            answers.append(answer)
            if not args.json:
                print(printable("\n".join(_lines(answer))), flush=True)
    if args.json:
        unread = {} if args.names else recipes.by_name.mistakes
        answers += [Answer(name=name, pinned="", newest="", problem="; ".join(unread[name])) for name in unread]
        print(json.dumps([_as_json(answer) for answer in answers], indent=1))
    if args.fitting:
        return 0
    if any(answer.refused for answer in answers):
        return SourceError.exit_code
    return PatchError.exit_code if any(answer.failed for answer in answers) else 0


def _bump(recipe: Recipe, run: Run, *, write: bool, fitting: bool) -> Answer:
    from factory.pipeline.bump import apply_bump, find_bump, obstacle

    pinned = recipe.source.version
    if reason := obstacle(recipe):
        return Answer(name=recipe.name, pinned=pinned, newest="", problem=reason)
    try:
        with run.stages(recipe.label)("bump") as log:
            found = find_bump(recipe, run, log)
    except SourceError as error:
        if error.machines_fault and not fitting:
            raise
        return Answer(name=recipe.name, pinned=pinned, newest="", problem=error.message, refused=True)
    if found is None:
        return Answer(name=recipe.name, pinned=pinned, newest=pinned)
    notes: list[str] = []
    if write and not (fitting and any(fit.reason for fit in found.patches)):
        file = shown_path(recipe.directory / RECIPE_FILE)
        notes = [f"{file}: rewritten", *(f"{file}:{n}: still has {pinned}" for n in apply_bump(found, run))]
    return Answer(
        name=recipe.name,
        pinned=pinned,
        newest=found.version,
        applied=tuple(fit.patch.name for fit in found.patches if not fit.reason),
        failed=tuple((fit.patch.name, fit.reason) for fit in found.patches if fit.reason),
        changes=(*found.changes, *([f"comment beside the version: {found.comment}"] if found.comment else [])),
        notes=tuple(notes),
    )


def _lines(answer: Answer) -> Iterator[str]:
    if answer.problem:
        yield f"{answer.name} {answer.pinned}: {answer.problem}"
    elif answer.newest == answer.pinned:
        yield f"{answer.name} {answer.pinned}: newest"
    else:
        yield f"{answer.name} {answer.pinned} -> {answer.newest}"
        yield from (f"  patch {name}: applies" for name in answer.applied)
        yield from (f"  patch {name}: {reason}" for name, reason in answer.failed)
        yield from (f"  {line}" for line in (*answer.changes, *answer.notes))


def _as_json(answer: Answer) -> dict[str, object]:
    return {
        "name": answer.name,
        "pinned": answer.pinned,
        "newest": answer.newest,
        "patches": dict.fromkeys(answer.applied, "") | dict(answer.failed),
        "changes": answer.changes,
        "notes": answer.notes,
        "problem": answer.problem,
    }
