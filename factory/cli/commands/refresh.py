"""`factory refresh`: update the links to other projects' riscv64 wheels."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from factory.cli.console import Reporter
from factory.cli.project_options import ledger_folder
from factory.cli.release_changes import add_change_options, show_changes
from factory.host.ownership import owned_by_user
from factory.model.declaration import REQUIREMENT, about
from factory.publish.ledger import Ledger
from factory.recipes.reader import read_file
from factory.util.paths import default_layout

UPSTREAM_FILE = "upstream.toml"
# The log is written.
NEEDS_CACHE = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFile:
    """Content of upstream.toml."""

    packages: tuple[Annotated[str, REQUIREMENT], ...] = field(default=(), metadata=about("what the index mirrors"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_change_options(parser, f"; {UPSTREAM_FILE} is beside it")


def run(args: argparse.Namespace) -> int:
    """Update the links in the ledger."""
    from factory.publish.upstream_links import refresh

    folder: Path = ledger_folder(args, args.output)
    requirements = read_requirements(folder.absolute().parent / UPSTREAM_FILE)
    stage = Reporter().stage("index", "refresh", default_layout().logs / "index" / "refresh.log")
    with owned_by_user(folder), stage as log:
        changed = refresh(requirements, ledger=Ledger(folder), output=args.output, log=log)
    show_changes(args, changed, lambda release: "linked" if release.yanked is None else f"yanked: {release.yanked}")
    return 0


def read_requirements(path: Path) -> tuple[str, ...]:
    """Read `packages` of upstream.toml; empty if there is no such file.

    Raises:
        RecipeError: with a line for each mistake.
    """
    if not path.is_file():
        return ()
    return read_file(path, UpstreamFile).packages
