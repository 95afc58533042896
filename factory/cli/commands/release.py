"""`factory release`: publish new wheels as files of GitHub releases, and write the index."""

from __future__ import annotations

import argparse

from factory.cli.commands.index import configure_publishing, publish_and_show, read_projects, read_wheels
from factory.cli.console import Reporter
from factory.cli.notes import Notes
from factory.cli.project_options import ledger_folder
from factory.cli.repository import add_repository_options, open_repository, take_token
from factory.publish.ledger import Ledger
from factory.util.paths import default_layout

# As for `factory index`.
NEEDS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_publishing(parser)
    add_repository_options(parser)
    parser.add_argument("--push", action="store_true", help="commit the ledger and push it to the branch")


def run(args: argparse.Namespace) -> int:
    """Upload wheels that the ledger lacks, publish them with links, and push the ledger."""
    from factory.publish.release_files import upload_wheels

    token, layout = take_token(), default_layout()
    notes = Notes()
    projects = read_projects(args, notes)
    candidates = read_wheels(args, projects, notes)
    ledger = Ledger(ledger_folder(args, args.output))
    new = [each for each in candidates if ledger.find(each.path.name) is None]
    uploads = upload_wheels(new, open_repository(args, token))
    status = publish_and_show(
        [each for each in candidates if each.path.name not in uploads.refused],
        projects,
        args,
        layout,
        notes,
        bases=uploads.bases,
        refused=tuple(uploads.refused.values()),
    )
    if args.push:
        from factory.publish.ledger_push import push_ledger

        pushed = push_ledger(ledger.folder, token)
        # Standard output has the releases, also as JSON.
        Reporter().line("ledger pushed" if pushed else "ledger unchanged")
    return status
