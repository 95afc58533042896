"""`factory index`: publish every stored wheel that passed its checks, and write the package index."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from factory.errors import IndexDiffers
from factory.layout import Layout, checkout, default_layout
from factory.model import Target
from factory.privileges import give_back
from factory.publish import Publication, publish
from factory.publish.history import broken_promises, is_kept
from factory.publish.ledger import Built, Ledger, Release
from factory.publish.simple import install_lines
from factory.publish.verify import differences
from factory.reporting import write_reports
from factory.store import Store
from factory.ui import Reporter, print_table

DEFAULT_OUTPUT = Path("dist/index")
NO_HISTORY = "whether something vanished from the ledger can't be known: it is not kept in git"
# The store that it reads, and the mirror that it writes to, are root's.
NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
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
        "--verify",
        action="store_true",
        help="publish nothing: prove that the index is what the ledger gives, and nothing published is gone",
    )
    parser.add_argument("--json", action="store_true", help="print the releases as JSON")


def run(args: argparse.Namespace) -> int:
    """Publish; print what is in the index and how to install from it."""
    ledger = args.ledger or default_ledger(args.output)
    if args.verify:
        verify(Ledger(ledger), args.output)
        return 0
    layout = default_layout()
    publication = _publish(Ledger(ledger), args.output, layout)
    write_reports(
        publication.releases, ledger, Store(layout.store), lambda release: args.output / "files" / release.filename
    )
    give_back(args.output, ledger)
    if args.json:
        print(as_json(publication))
    else:
        _show(publication, args.output)
    return 0


def verify(ledger: Ledger, output: Path) -> None:
    """Compare an index with its ledger, and the ledger with its past where git knows it.

    Raises:
        IndexDiffers: with every difference.
    """
    releases, kept = ledger.read(), is_kept(ledger.folder)
    found = [*differences(releases, output), *(broken_promises(ledger.folder, releases) if kept else ())]
    if found:
        raise IndexDiffers(
            f"{output} is not what was published:\n  " + "\n  ".join(found),
            hint="files come back with: factory index; ledger entries from the repository that keeps them",
        )
    print(f"{len(releases)} files and all pages in {output} are what the ledger gives")
    print("nothing that was ever in the ledger has changed or gone" if kept else NO_HISTORY)


def _publish(ledger: Ledger, output: Path, layout: Layout) -> Publication:
    with Reporter().stage("index", "publish", layout.logs / "index" / "publish.log") as log:
        return publish(
            Store(layout.store).published_candidates(),
            ledger=ledger,
            output=output,
            mirror=layout.mirror,
            target=Target(),
            log=log,
        )


def default_ledger(output: Path) -> Path:
    """The checkout's ledger where there is one, else one beside the pages."""
    kept = checkout() / "index" / "ledger"
    return kept if kept.is_dir() else output / "ledger"


def _show(publication: Publication, output: Path) -> None:
    print_table(
        ("file", "bytes", "origin"),
        [(release.filename, f"{release.size:,}", _origin(release)) for release in publication.releases],
    )
    print(f"{len(publication.releases)} files, {len(publication.added)} new, in {output}")
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
    return "mirrored"
