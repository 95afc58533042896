"""`factory index`: publish every stored wheel that passed its checks, and write the package index."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.console import Reporter, print_table
from factory.errors import IndexDiffers, PublishError
from factory.host.ownership import owned_by_user
from factory.model.artifacts import StoredWheel
from factory.model.target import Target
from factory.publish.file_locations import sources_of
from factory.publish.ledger import Built, Ledger, Release
from factory.publish.ledger_history import broken_promises, is_kept, uncommitted
from factory.publish.logs import log_name
from factory.publish.publisher import Publication, Terms, publish
from factory.publish.report_writer import BuildHistory, write_reports
from factory.publish.reports import with_reports
from factory.publish.simple_api import install_lines
from factory.publish.verify import differences
from factory.recipes.loader import load_recipes
from factory.site.config import load_settings
from factory.stages.sources.kinds import SOURCE_KINDS
from factory.store.store import Store
from factory.util.paths import Layout, checkout, default_layout

DEFAULT_OUTPUT = Path("dist/index")
NO_HISTORY = "whether something vanished from the ledger can't be known: it is not kept in git"
# The store that it reads, and the mirror that it writes to, are root's.
NEEDS_ROOT = True


class _WithoutRoot(argparse.Action):
    """A flag for work that touches neither the store nor the mirror: no one has to be root for it."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, *_rest: object) -> None:
        setattr(namespace, self.dest, True)
        namespace.needs_root = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_publishing(parser)
    parser.set_defaults(url=None)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--pages-only",
        action=_WithoutRoot,
        nargs=0,
        default=False,
        help="publish nothing: write the pages from the ledger alone, with neither the wheels nor the store",
    )
    instead.add_argument(
        "--verify",
        action=_WithoutRoot,
        nargs=0,
        default=False,
        help="publish nothing: prove that the index is what the ledger gives, and nothing published is gone",
    )
    parser.add_argument(
        "--check-links", action="store_true", help="with --verify: fetch what lies elsewhere, and compare it too"
    )


def configure_publishing(parser: argparse.ArgumentParser) -> None:
    """Declare where the index is, and what goes into it."""
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="where to write (default: %(default)s)"
    )
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="DIR",
        help="the ledger of releases (default: index/ledger of the checkout if it is there, else ledger/ in --output)",
    )
    parser.add_argument(
        "--mirror", action="store_true", help="keep copies of other projects' files instead of links to them"
    )
    parser.add_argument(
        "--force", action="store_true", help="look at every file's content, also where nothing seems to have changed"
    )
    parser.add_argument("--json", action="store_true", help="print the releases as JSON")


def run(args: argparse.Namespace) -> int:
    """Publish; print what is new in the index and how to install from it."""
    if args.verify:
        verify(Ledger(args.ledger or default_ledger(args.output)), args.output, check_links=args.check_links)
        return 0
    if args.pages_only:
        write_from_ledger(Ledger(args.ledger or default_ledger(args.output)), args.output, force=args.force)
        return 0
    layout = default_layout()
    publish_and_show(Store(layout.store).published_candidates(), args, layout)
    return 0


def publish_and_show(candidates: Sequence[StoredWheel], args: argparse.Namespace, layout: Layout) -> None:
    """Publish the candidates, and print what is new in the index then."""
    # Commands that write no pages need no templates, and no table of licences.
    from factory.publish.sbom import write_sboms
    from factory.site.writer import write_site

    store, folder = Store(layout.store), args.ledger or default_ledger(args.output)
    ledger, address = Ledger(folder), load_settings(folder.parent).url or None
    recipes = load_recipes(checkout() / "recipes", SOURCE_KINDS)
    shadowing = frozenset(canonicalize_name(each.project) for each in recipes.values() if each.shadows_upstream)
    terms = Terms(may_shadow=shadowing, base=args.url, mirror=args.mirror, address=address)
    stage = Reporter().stage("index", "publish", layout.logs / "index" / "publish.log")
    # Locked to the end: of two publishers at once, the later one writes the pages of both.
    with owned_by_user(args.output, folder), stage as log, ledger.locked():
        publication = publish(
            candidates,
            ledger=ledger,
            output=args.output,
            store=store.wheels,
            mirror=layout.mirror,
            target=Target(),
            log=log,
            terms=terms,
        )
        sources = sources_of(candidates, store=store.wheels, mirror=layout.mirror, output=args.output)
        try:
            history = BuildHistory(records=store.records(), failures=store.failures(), cache=layout.root)
            write_reports(publication.releases, folder, history, sources.find, args.output, force=args.force)
            write_sboms(publication.releases, folder, args.output, force=args.force)
        finally:  # what is published is on the pages, whatever becomes of its report
            write_site(ledger, args.output, force=args.force)
    for note in publication.notes:
        print(f"factory: {note}", file=sys.stderr)
    if args.json:
        print(as_json(publication))
    else:
        _show(publication, args.output)


def write_from_ledger(ledger: Ledger, output: Path, *, force: bool = False) -> None:
    """Write every page, and every bill of materials, that the ledger gives, and say how many files are others now.

    `force` looks at all of them, also where nothing seems to have changed.

    Raises:
        PublishError: there is no ledger, or one of its files is damaged.
    """
    from factory.publish.sbom import write_sboms
    from factory.site.writer import write_site

    if not ledger.folder.is_dir():
        raise PublishError(f"there is no ledger in {ledger.folder}", hint="say where it is with --ledger DIR")
    with owned_by_user(output, ledger.folder), ledger.locked():
        sboms = write_sboms(ledger.read(), ledger.folder, output, force=force)
        changed = [*sboms, *write_site(ledger, output, force=force)]
    print(f"{len(changed)} files are new or another in {output}")


def pages_hint(args: argparse.Namespace) -> str:
    """What to do after a change of the ledger that these options chose, so that the pages have it."""
    words = ["factory", "index", "--pages-only", "--output", str(args.output)]
    words += [] if args.ledger is None else ["--ledger", str(args.ledger)]
    return f"the pages have it after: {shlex.join(words)}"


def verify(ledger: Ledger, output: Path, *, check_links: bool = False) -> None:
    """Compare an index with its ledger, and the ledger with its past where git knows it.

    With `check_links` the files that lie elsewhere are fetched and compared too.

    Raises:
        IndexDiffers: with every difference.
    """
    from factory.site.verify import page_differences

    with ledger.at_rest():
        releases, kept = ledger.read(), is_kept(ledger.folder)
        found = [
            *differences(releases, output, further=_beside_wheels(releases, ledger)),
            *page_differences(ledger, output),
            *(broken_promises(ledger.folder, releases) if kept else ()),
        ]
    elsewhere = [release for release in releases if release.url is not None]
    found += _missing(elsewhere) if check_links else ()
    if found:
        raise IndexDiffers(
            f"{output} is not what was published:\n  " + "\n  ".join(found),
            hint="pages come back with: factory index --pages-only --force; files with: factory index --force; "
            "ledger entries from the repository that keeps them; a file that a killed publisher left goes into the "
            "ledger with factory index, or can be removed if it was never published",
        )
    print(f"{len(releases) - len(elsewhere)} files and all pages in {output} are what the ledger gives")
    if elsewhere:
        print(
            f"{len(elsewhere)} files elsewhere",
            "have their hashes" if check_links else "were not fetched: --check-links does that",
        )
    print("nothing that was ever committed of the ledger has changed or gone" if kept else NO_HISTORY)
    if kept and (new := uncommitted(ledger.folder, releases)):
        print(f"{len(new)} of its entries are in no commit yet: commit {ledger.folder}")


def _beside_wheels(releases: Sequence[Release], ledger: Ledger) -> Mapping[str, str]:
    """The names and sha256 of the files beside wheels that their reports give."""
    from factory.publish.sbom import sbom, sbom_name

    found: dict[str, str] = {}
    for release, report in with_reports(releases, ledger.folder):
        if report is not None and report.build is not None:
            made = sbom(release, report, report.build)
            found[sbom_name(release.filename)] = hashlib.sha256(made).hexdigest()
            found |= {log_name(release.filename, log): log.sha256 for log in report.build.logs}
    return found


def _missing(elsewhere: Sequence[Release]) -> tuple[str, ...]:
    from factory.publish.remote_files import missing

    return missing(elsewhere)


def configure_index(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Declare which index a command works on; `more` is what else it wants to say of the ledger."""
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="DIR", help="the written index (default: %(default)s)"
    )
    help_text = f"the ledger of releases (default: where factory index has it){more}"
    parser.add_argument("--ledger", type=Path, metavar="DIR", help=help_text)


def default_ledger(output: Path) -> Path:
    """The checkout's ledger where there is one, else one beside the pages."""
    kept = checkout() / "index" / "ledger"
    return kept if kept.is_dir() else output / "ledger"


def _show(publication: Publication, output: Path) -> None:
    """What is new of it, which is little where the index is large."""
    if publication.added:
        rows = [(release.filename, f"{release.size:,}", _origin(release)) for release in publication.added]
        print_table(("new or changed", "bytes", "origin"), rows)
    print(f"{len(publication.releases)} files, {len(publication.added)} new or changed, in {output}")
    print(*install_lines((output / "simple").absolute().as_uri()), sep="\n")


def as_json(publication: Publication) -> str:
    """Every file of the index, for programs."""
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
