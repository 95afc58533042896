"""Report of the releases that a command changed in the ledger: lines for people, or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

from factory.cli.project_options import add_index_options, pages_hint
from factory.publish.release import Release


def add_change_options(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Declare the index, and JSON; `more` is added to the help of --ledger."""
    add_index_options(parser, more)
    parser.add_argument("--json", action="store_true", help="print the changed releases as JSON")


def show_changes(
    args: argparse.Namespace, changed: Sequence[Release], state: Callable[[Release], str], subject: str = ""
) -> None:
    """Print the changed releases with their new state, and how to update the pages.

    Without changes, `subject` begins the line.
    """
    if args.json:
        print(json.dumps([_as_json(release) for release in changed], indent=1))
        return
    for release in changed:
        print(f"{release.filename}: {state(release)}")
    print(pages_hint(args) if changed else f"{subject}no change")


def _as_json(release: Release) -> dict[str, object]:
    values = {"filename": release.filename, "sha256": release.sha256, "size": release.size, "url": release.url}
    return {**values, "yanked": release.yanked, "listed": release.listed}
