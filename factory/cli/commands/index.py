"""`factory index`: publish checked wheels of the store, and write the index."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from factory.cli.console import Reporter, print_table
from factory.errors import IndexDiffers, PublishError
from factory.host.ownership import owned_by_user
from factory.model.artifacts import StoredWheel
from factory.model.target import DEFAULT_TARGET
from factory.publish.file_locations import FileLocations
from factory.publish.ledger import Ledger
from factory.publish.ledger_history import find_uncommitted, find_violations, has_history
from factory.publish.logs import log_name
from factory.publish.output_folder import claim
from factory.publish.publisher import Publication, Terms, publish
from factory.publish.release import Built, Release
from factory.publish.report_writer import BuildHistory, write_reports
from factory.publish.reports import with_reports
from factory.publish.simple_api import install_lines
from factory.publish.verify import find_differences
from factory.recipes.loader import RecipeProject, recipe_projects
from factory.site.config import load_settings
from factory.store.store import Store
from factory.util.paths import Layout, checkout, default_layout

DEFAULT_OUTPUT = Path("dist/index")
NO_HISTORY = "ledger history not verified: the ledger is not in a git repository"
# Root owns the store, which is read, and the mirror, which is written.
NEEDS_ROOT = True


class _WithoutRoot(argparse.Action):
    """A flag of a run without store and mirror, which needs no root."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, *_rest: object) -> None:
        setattr(namespace, self.dest, True)
        namespace.needs_root = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_publishing(parser)
    parser.set_defaults(url=None, refuse=parser.error)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "names",
        nargs="*",
        default=(),
        metavar="NAME",
        help="recipe to publish, with what it requires (default: all recipes)",
    )
    instead.add_argument(
        "--pages-only",
        action=_WithoutRoot,
        nargs=0,
        default=False,
        help="publish nothing; write the pages from the ledger alone, without wheels and store",
    )
    instead.add_argument(
        "--verify",
        action=_WithoutRoot,
        nargs=0,
        default=False,
        help="publish nothing; verify index and ledger: every published file and page is there, unchanged",
    )
    parser.add_argument(
        "--check-links", action="store_true", help="with --verify: fetch linked files too, and compare them"
    )


def configure_publishing(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that publish."""
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="DIR",
        help="ledger of releases (default: index/ledger of the checkout if it exists, else ledger/ in --output)",
    )
    parser.add_argument(
        "--mirror", action="store_true", help="copy other projects' files into the index instead of linking to them"
    )
    parser.add_argument(
        "--force", action="store_true", help="compare every file's content, even where nothing seems changed"
    )
    parser.add_argument("--json", action="store_true", help="print the releases as JSON")


def run(args: argparse.Namespace) -> int:
    """Publish; print new releases and how to install from the index."""
    if args.check_links and not args.verify:
        args.refuse("argument --check-links: not allowed without argument --verify")
    if args.verify:
        verify(Ledger(args.ledger or default_ledger(args.output)), args.output, check_links=args.check_links)
        return 0
    if args.pages_only:
        write_from_ledger(Ledger(args.ledger or default_ledger(args.output)), args.output, force=args.force)
        return 0
    layout = default_layout()
    stored = Store(layout.store).published_candidates()
    projects = recipe_projects(checkout() / "recipes")
    chosen, offered = select(stored, args.names, projects)
    return publish_and_show(chosen, projects, args, layout, offered)


def select(
    stored: Sequence[StoredWheel], names: Sequence[str], projects: Sequence[RecipeProject]
) -> tuple[Sequence[StoredWheel], Sequence[StoredWheel]]:
    """Return the wheels of the named recipes, else of all, and those of the other recipes, for their dependencies.

    A note is printed on wheels that no recipe makes: other checkouts use the same store.

    Raises:
        PublishError: a name is no recipe's, or its wheel is not in the store.
    """
    by_recipe = {each.recipe: each.project for each in projects}
    ours = [each for each in stored if each.project in by_recipe.values()]
    if names:
        named = {_find_project(name, by_recipe, ours) for name in names}
        return [each for each in ours if each.project in named], [each for each in ours if each.project not in named]
    if others := sorted({each.project for each in stored} - set(by_recipe.values())):
        print(f"factory: not published, since no recipe here makes them: {', '.join(others)}", file=sys.stderr)
    return ours, ()


def _find_project(
    name: str, by_recipe: Mapping[NormalizedName, NormalizedName], stored: Sequence[StoredWheel]
) -> NormalizedName:
    """Return the project of a recipe's wheels in the store."""
    project = by_recipe.get(canonicalize_name(name))
    if project is None:
        raise PublishError(f"{name}: no recipe of this name", hint=f"known recipes: {', '.join(sorted(by_recipe))}")
    if all(each.project != project for each in stored):
        raise PublishError(f"{name}: no checked wheel in the store", hint=f"run: factory build {name}")
    return project


def publish_and_show(
    candidates: Sequence[StoredWheel],
    projects: Sequence[RecipeProject],
    args: argparse.Namespace,
    layout: Layout,
    offered: Sequence[StoredWheel] = (),
) -> int:
    """Publish the candidates with those of `offered` that they need, write the pages, and print new releases.

    `projects` are those of all recipes, which may permit a name that the package index has. Returns the exit status:
    not 0 where a candidate was refused.
    """
    # Imported here: commands that write no pages need neither templates nor the table of licences.
    from factory.publish.sbom import write_sboms
    from factory.site.writer import write_site

    store, folder = Store(layout.store), args.ledger or default_ledger(args.output)
    ledger, address = Ledger(folder), load_settings(folder.parent).url or None
    shadowing = (each.project for each in projects if each.may_shadow)
    terms = Terms(may_shadow=frozenset(shadowing), base=args.url, mirror=args.mirror, address=address)
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
                records=store.records(), failures=store.failures(), cache=layout.root, project=checkout()
            )
            write_reports(publication.releases, folder, history, locations.find, args.output, force=args.force)
            write_sboms(publication.releases, folder, args.output, force=args.force)
        finally:  # published wheels are on the pages even if their reports fail
            write_site(ledger, args.output, force=args.force)
    for note in (*publication.notes, *publication.refused):
        print(f"factory: {note}", file=sys.stderr)
    if args.json:
        print(as_json(publication))
    else:
        _show(publication, args.output)
    return PublishError.exit_code if publication.refused else 0


def write_from_ledger(ledger: Ledger, output: Path, *, force: bool = False) -> None:
    """Write all pages and bills of materials from the ledger, without the store.

    `force` compares all of them, even where nothing seems changed.

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
    print(f"{len(changed)} files new or changed in {output}")


def pages_hint(args: argparse.Namespace) -> str:
    """Return the command that updates the pages of the ledger that `args` select."""
    words = ["factory", "index", "--pages-only", "--output", str(args.output)]
    words += [] if args.ledger is None else ["--ledger", str(args.ledger)]
    return f"update the pages: {shlex.join(words)}"


def verify(ledger: Ledger, output: Path, *, check_links: bool = False) -> None:
    """Compare an index with its ledger, and the ledger with its history in git.

    With `check_links` linked files are fetched and compared too.

    Raises:
        IndexDiffers: with every difference.
    """
    from factory.site.verify import page_differences

    with ledger.locked_if_writable():
        releases, kept = ledger.read(), has_history(ledger.folder)
        found = [
            *find_differences(releases, output, further=_sidecars(releases, ledger)),
            *page_differences(ledger, output),
            *(find_violations(ledger.folder, releases) if kept else ()),
        ]
    linked = [release for release in releases if release.url is not None]
    found += _compare_links(linked) if check_links else ()
    if found:
        raise IndexDiffers(
            f"{output}: index differs from its ledger:\n  " + "\n  ".join(found),
            hint="restore pages with factory index --pages-only --force, files with factory index --force, and ledger "
            "entries from git; a file that a killed publisher left is added to the ledger by factory index, and can be "
            "removed if it was never published",
        )
    print(f"{len(releases) - len(linked)} files and all pages in {output} match the ledger")
    if linked:
        print(f"{len(linked)} linked files", "match the ledger" if check_links else "not verified: add --check-links")
    print("no committed entry of the ledger was changed or removed" if kept else NO_HISTORY)
    if kept and (new := find_uncommitted(ledger.folder, releases)):
        print(f"{len(new)} entries are not committed yet: commit {ledger.folder}")


def _sidecars(releases: Sequence[Release], ledger: Ledger) -> Mapping[str, str]:
    """Map the sidecar files that reports describe to their sha256."""
    from factory.publish.sbom import sbom, sbom_name

    found: dict[str, str] = {}
    for release, report in with_reports(releases, ledger.folder):
        if report is not None and report.build is not None:
            made = sbom(release, report, report.build)
            found[sbom_name(release.filename)] = hashlib.sha256(made).hexdigest()
            found |= {log_name(release.filename, log): log.sha256 for log in report.build.logs}
    return found


def _compare_links(linked: Sequence[Release]) -> tuple[str, ...]:
    from factory.publish.remote_files import find_remote_differences

    return find_remote_differences(linked)


def configure_index(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Declare the index that a command works on; `more` is added to the help of --ledger."""
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="folder of the index (default: %(default)s)"
    )
    help_text = f"ledger of releases (default: as for factory index){more}"
    parser.add_argument("--ledger", type=Path, metavar="DIR", help=help_text)


def default_ledger(output: Path) -> Path:
    """Return the checkout's ledger if there is one, else the ledger in the index's folder."""
    kept = checkout() / "index" / "ledger"
    return kept if kept.is_dir() else output / "ledger"


def _show(publication: Publication, output: Path) -> None:
    """Print new and changed releases only: an index may be large."""
    if publication.added:
        rows = [(release.filename, f"{release.size:,}", _origin(release)) for release in publication.added]
        print_table(("new or changed", "bytes", "origin"), rows)
    refused = f", {len(publication.refused)} refused" if publication.refused else ""
    print(f"{len(publication.releases)} files, {len(publication.added)} new or changed{refused}, in {output}")
    print(*install_lines((output / "simple").absolute().as_uri()), sep="\n")


def as_json(publication: Publication) -> str:
    """Return every release of the index as JSON."""
    added = {release.filename for release in publication.added}
    return json.dumps(
        [
            {
                "filename": release.filename,
                "sha256": release.sha256,
                "size": release.size,
                "origin": _origin(release),
                "new": release.filename in added,
            }
            for release in publication.releases
        ],
        indent=2,
    )


def _origin(release: Release) -> str:
    if isinstance(release.origin, Built):
        return f"built, passed on {' '.join(release.origin.profiles)}"
    return "mirrored" if release.url is None else "linked"
