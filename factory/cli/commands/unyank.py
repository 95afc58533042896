"""`factory unyank`: let installers choose a yanked version again."""

from __future__ import annotations

import argparse

from factory.cli.commands import yank


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    yank.configure_version(parser)


def run(args: argparse.Namespace) -> int:
    """Remove the reason from the ledger."""
    yank.report(args, yank.change(args, None), "no longer yanked")
    return 0
