"""`factory index`: publish checked wheels of the store, and write the index."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from factory.cli.console import Reporter, print_table
from factory.cli.failures import as_object
from factory.cli.index_verification import verify
from factory.cli.notes import Notes, print_note
from factory.cli.own_wheels import OwnRecipes, own_wheels
from factory.cli.project_options import add_index_options, ledger_folder
from factory.errors import PublishError
from factory.host.ownership import owned_by_user
from factory.model.artifacts import StoredWheel
from factory.model.target import DEFAULT_TARGET
from factory.publish.file_locations import FileLocations
from factory.publish.ledger import Ledger
from factory.publish.output_folder import claim
from factory.publish.published_locks import update_locks
from factory.publish.publisher import Publication, Terms, publish
from factory.publish.release import Built, Release
from factory.publish.report_writer import BuildHistory, write_reports
from factory.publish.simple_api import install_lines
from factory.recipes.loader import RecipeProject, recipe_projects
from factory.recipes.recipe_set import unknown_recipe
from factory.site.config import load_settings
from factory.store.store import Store
from factory.util.paths import Layout, default_layout
from factory.util.project import PATCHES_FOLDER, RECIPES_FOLDER, project_folder
from factory.util.quantities import quantity

NO_BASES: Mapping[str, str] = {}
# The store is read, and the mirror is written.
NEEDS_CACHE = True


class _WithoutCache(argparse.Action):
    """A flag of a run without store and mirror."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, *_rest: object) -> None:
        setattr(namespace, self.dest, True)
        namespace.needs_cache = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_publishing(parser)
    parser.set_defaults(refuse=parser.error)
    parser.add_argument(
        "names",
        nargs="*",
        default=(),
        metavar="NAME",
        help="recipe to publish, with what it requires (default: all recipes)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--pages-only",
        action=_WithoutCache,
        nargs=0,
        default=False,
        help="publish nothing; write the pages from the ledger alone, without wheels and store",
    )
    instead.add_argument(
        "--verify",
        action=_WithoutCache,
        nargs=0,
        default=False,
        help="publish nothing; verify index and ledger: every published file and page is there, unchanged",
    )
    parser.add_argument(
        "--check-links", action="store_true", help="with --verify: fetch linked files too, and compare them"
    )


def configure_publishing(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that publish."""
    add_index_options(parser)
    parser.add_argument(
        "--mirror", action="store_true", help="copy other projects' files into the index instead of linking to them"
    )
    parser.add_argument(
        "--force", action="store_true", help="compare every file's content, even where nothing seems changed"
    )
    parser.add_argument("--json", action="store_true", help="print the releases as JSON")


def run(args: argparse.Namespace) -> int:
    """Publish; print new releases and how to install from the index."""
    _refuse_idle_options(args)
    if args.verify:
        found = verify(Ledger(ledger_folder(args, args.output)), args.output, check_links=args.check_links)
        _print(asdict(found), found.lines(), as_json=args.json)
        return 0
    if args.pages_only:
        changed = write_from_ledger(Ledger(ledger_folder(args, args.output)), args.output, force=args.force)
        _print(
            {"changed": changed}, [f"{quantity(changed, 'file')} new or changed in {args.output}"], as_json=args.json
        )
        return 0
    layout = default_layout()
    notes = Notes()
    projects = read_projects(args, notes)
    chosen, offered = select(read_wheels(args, projects, notes), args.names, projects)
    return publish_and_show(chosen, projects, args, layout, notes, offered)


def read_projects(args: argparse.Namespace, notes: Notes) -> Sequence[RecipeProject]:
    """Return the projects of the project folder's recipes.

    A note is added on recipes that cannot be read.

    Raises:
        RecipeError: there is no project folder.
    """
    projects, problems = recipe_projects(project_folder(args.project) / RECIPES_FOLDER)
    for problem in problems:
        notes.add(f"recipe left out: {problem}")
    return projects


def read_wheels(args: argparse.Namespace, projects: Sequence[RecipeProject], notes: Notes) -> Sequence[StoredWheel]:
    """Return the stored wheels that this project's recipes make.

    A note is added on others: other projects use the same store.
    """
    recipes = OwnRecipes(projects, project_folder(args.project) / PATCHES_FOLDER)
    ledger = Ledger(ledger_folder(args, args.output))
    own, others = own_wheels(Store(default_layout().store), recipes, ledger)
    ours = {each.project for each in projects}
    if unknown := sorted({each.project for each in others} - ours):
        notes.add(f"not published, since no recipe here makes them: {', '.join(unknown)}")
    if changed := sorted({" ".join(each.path.name.split("-")[:2]) for each in others if each.project in ours}):
        made = "another version of the recipe or of its patches made them"
        notes.add(f"not published, since {made}: {', '.join(changed)}")
    return own


def _refuse_idle_options(args: argparse.Namespace) -> None:
    """Refuse options that have no effect beside others."""
    if args.check_links and not args.verify:
        args.refuse("argument --check-links: not allowed without argument --verify")
    instead = "--verify" if args.verify else "--pages-only" if args.pages_only else ""
    idle = {"NAME": args.names, "--mirror": args.mirror, "--force": args.force and args.verify}
    for option, given in idle.items():
        if given and instead:
            args.refuse(f"argument {option}: not allowed with argument {instead}")


def _print(content: Mapping[str, object], lines: Sequence[str], *, as_json: bool) -> None:
    print(json.dumps(content, indent=1) if as_json else "\n".join(lines))


def select(
    stored: Sequence[StoredWheel], names: Sequence[str], projects: Sequence[RecipeProject]
) -> tuple[Sequence[StoredWheel], Sequence[StoredWheel]]:
    """Return the wheels of the named recipes, else of all, and the others.

    The others are those of the other recipes, for dependencies.

    Raises:
        RecipeError: a name is no recipe's.
        PublishError: its wheel is not in the store.
    """
    by_recipe = {each.recipe: each.project for each in projects}
    if not names:
        return stored, ()
    named = {_find_project(name, by_recipe, stored) for name in names}
    return [each for each in stored if each.project in named], [each for each in stored if each.project not in named]


def _find_project(
    name: str, by_recipe: Mapping[NormalizedName, NormalizedName], stored: Sequence[StoredWheel]
) -> NormalizedName:
    """Return the project of a recipe's wheels in the store."""
    project = by_recipe.get(canonicalize_name(name))
    if project is None:
        raise unknown_recipe(name, by_recipe)
    if all(each.project != project for each in stored):
        raise PublishError(f"{name}: no checked wheel in the store", hint=f"run: factory build {name}")
    return project


def publish_and_show(
    candidates: Sequence[StoredWheel],
    projects: Sequence[RecipeProject],
    args: argparse.Namespace,
    layout: Layout,
    notes: Notes,
    offered: Sequence[StoredWheel] = (),
    *,
    bases: Mapping[str, str] = NO_BASES,
    refused: Sequence[PublishError] = (),
) -> int:
    """Publish the candidates, write the pages, and print new releases.

    Of `offered`, those that the candidates need are published too.

    `projects` are those of all recipes, which may permit a name that the package index has. `bases` are the addresses
    of uploaded wheels, as in Terms. Returns the exit status: not 0 where a candidate was refused, now or before.
    """
    # Imported here: commands that write no pages need neither templates nor the table of licences.
    from factory.publish.sbom import write_sboms
    from factory.site.writer import write_site

    store, folder = Store(layout.store), ledger_folder(args, args.output)
    ledger, settings = Ledger(folder), load_settings(folder.parent)
    shadowing = (each.project for each in projects if each.may_shadow)
    recipes = {each.recipe for each in projects}  # other project folders use the same store
    terms = Terms(may_shadow=frozenset(shadowing), bases=bases, mirror=args.mirror, address=settings.url or None)
    stage = Reporter().stage("index", "publish", layout.logs / "index" / "publish.log")
    # Locked to the end: of two concurrent publishers, the later one writes the pages of both.
    with owned_by_user(args.output, folder), stage as log, ledger.locked():
        claim(args.output, ledger)
        publication = publish(
            candidates,
            offered=offered,
            ledger=ledger,
            output=args.output,
            store=store.wheels,
            mirror=layout.mirror,
            target=DEFAULT_TARGET,
            log=log,
            terms=terms,
        )
        locations = FileLocations(candidates, store=store.wheels, mirror=layout.mirror, output=args.output)
        try:
            history = BuildHistory(
                records=store.records(),
                failures=[failure for failure in store.failures() if failure.name in recipes],
                cache=layout.root,
                project=project_folder(args.project),
            )
            write_reports(publication.releases, folder, history, locations.find, args.output, force=args.force)
            write_sboms(publication.releases, folder, args.output, force=args.force)
        finally:  # published wheels are on the pages even if their reports fail
            write_site(ledger, args.output, force=args.force)
        changed, unlocked = update_locks(settings.locks, ledger=ledger, output=args.output, address=settings.url)
        if changed:
            write_site(ledger, args.output)
    publication = replace(publication, refused=(*refused, *publication.refused))
    for note in (*publication.notes, *map(str, unlocked)):
        notes.add(note)
    for error in publication.refused:
        print_note(str(error))
    if args.json:
        print(as_json(publication, notes.texts))
    else:
        _show(publication, args.output)
    return PublishError.exit_code if publication.refused else 0


def write_from_ledger(ledger: Ledger, output: Path, *, force: bool = False) -> int:
    """Write all pages and bills of materials from the ledger, without the store.

    Returns the number of new and changed files. `force` compares all of them, even where nothing seems changed.

    Raises:
        PublishError: there is no ledger, or one of its files is damaged.
    """
    from factory.publish.sbom import write_sboms
    from factory.site.writer import write_site

    if not ledger.folder.is_dir():
        raise PublishError(f"{ledger.folder}: no ledger in this folder", hint="name its folder: --ledger DIR")
    with owned_by_user(output, ledger.folder), ledger.locked():
        claim(output, ledger)
        sboms = write_sboms(ledger.read(), ledger.folder, output, force=force)
        changed = [*sboms, *write_site(ledger, output, force=force)]
    return len(changed)


def _show(publication: Publication, output: Path) -> None:
    """Print new and changed releases only: an index may be large."""
    if publication.added:
        rows = [(release.filename, f"{release.size:,}", _origin(release)) for release in publication.added]
        print_table(("new or changed", "bytes", "origin"), rows)
    refused = f", {len(publication.refused)} refused" if publication.refused else ""
    print(
        f"{quantity(len(publication.releases), 'file')}, {len(publication.added)} new or changed{refused}, in {output}"
    )
    print(*install_lines((output / "simple").absolute().as_uri()), sep="\n")


def as_json(publication: Publication, notes: Sequence[str]) -> str:
    """Return every release of the index as JSON, with the refusals and the command's notes."""
    added = {release.filename for release in publication.added}
    files = [
        {
            "filename": release.filename,
            "sha256": release.sha256,
            "size": release.size,
            "origin": _origin(release),
            "new": release.filename in added,
        }
        for release in publication.releases
    ]
    refused = [as_object(error) for error in publication.refused]
    return json.dumps({"files": files, "refused": refused, "notes": notes}, indent=2)


def _origin(release: Release) -> str:
    if isinstance(release.origin, Built):
        return f"built, passed on {' '.join(release.origin.profiles)}"
    return "mirrored" if release.url is None else "linked"
