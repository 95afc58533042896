"""`factory recipe`: the JSON schema of recipe.toml, for editors."""

from __future__ import annotations

import argparse

from factory.recipes.schema import render_schema
from factory.stages.sources.kinds import SOURCE_KINDS


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    summary = "print the JSON schema of recipe.toml"
    actions.add_parser("schema", help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    print(render_schema(SOURCE_KINDS), end="")
    return 0
