"""`factory completion`: print the code that makes a shell complete command lines."""

from __future__ import annotations

import argparse

from factory.cli.completion import SHELLS, shell_code


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=SHELLS, help="shell that the code is for")


def run(args: argparse.Namespace) -> int:
    """Print the code."""
    print(shell_code(args.shell))
    return 0
