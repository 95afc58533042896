"""`factory yank`: yank a published version: only exact pins still select it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from factory.cli.project_options import ledger_folder
from factory.cli.release_changes import add_change_options, show_changes
from factory.host.ownership import owned_by_user
from factory.publish.ledger import Ledger
from factory.publish.release import Release


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    configure_version(parser)
    parser.add_argument(
        "--reason", required=True, type=_reason, help="text that installers show to users of the version"
    )


def configure_version(parser: argparse.ArgumentParser) -> None:
    """Declare the version and its index."""
    parser.add_argument("version", type=parse_pin, metavar="NAME==VERSION", help="version of which all files are meant")
    add_change_options(parser)


def run(args: argparse.Namespace) -> int:
    """Set the reason in the ledger."""
    changed = change(args, args.reason)
    report(args, changed, f"yanked: {args.reason}")
    return 0


def change(args: argparse.Namespace, reason: str | None) -> tuple[Release, ...]:
    """Yank the version with `reason`, or unyank it with None."""
    ledger, (name, version) = ledger_folder(args, args.output), args.version
    with owned_by_user(ledger):
        return Ledger(ledger).set_yanked(name, version, reason)


def report(args: argparse.Namespace, changed: Sequence[Release], state: str) -> None:
    """Print the changed releases."""
    name, version = args.version
    show_changes(args, changed, lambda _release: state, f"{name} {version}: ")


def parse_pin(text: str) -> tuple[str, Version]:
    """Parse `NAME==VERSION` as the normalized project and version."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        requirement = None
    specifiers = [] if requirement is None else list(requirement.specifier)
    if requirement is None or len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME==VERSION")
    return canonicalize_name(requirement.name), Version(specifiers[0].version)


def _reason(text: str) -> str:
    words = " ".join(text.split())
    if not words:
        raise argparse.ArgumentTypeError("empty reason: installers show it to users")
    return words
