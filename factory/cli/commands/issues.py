"""`factory issues`: open, update and close an issue on GitHub for each failing recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from packaging.utils import canonicalize_name

from factory.cli.commands.index import read_projects
from factory.cli.notes import Notes, print_note
from factory.cli.printable import printable
from factory.cli.project_options import add_project_option
from factory.cli.repository import add_repository_options, open_repository, take_token
from factory.errors import PublishError
from factory.model.build_plan import BuildPlan
from factory.store.store import Store
from factory.util.jsonio import load
from factory.util.paths import default_layout

# The store is read.
READS_CACHE = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_project_option(parser)
    add_repository_options(parser)
    parser.add_argument(
        "--plan", type=Path, metavar="FILE", help="plan of the run, whose recipes without a readable source fail too"
    )


def run(args: argparse.Namespace) -> int:
    """Update the issues; the status is not 0 where a request failed."""
    from factory.publish.failure_issues import update_issues

    token, store = take_token(), Store(default_layout().store)
    ours = {each.recipe for each in read_projects(args, Notes())}
    planned = load(args.plan, BuildPlan).refused if args.plan else ()
    failures = {(each.name, each.python): each for each in (*store.failures(), *planned)}
    failing = [each for each in failures.values() if canonicalize_name(each.name) in ours]
    built = {record.name for record in store.records()} - {each.name for each in failing}
    refused = update_issues(failing, built, open_repository(args, token), lambda line: print(printable(line)))
    for error in refused:
        print_note(str(error))
    return PublishError.exit_code if refused else 0
