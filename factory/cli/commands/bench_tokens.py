"""`factory bench tokens`: count the instructions of a language model's tokens.

Several programs generate them.
"""

from __future__ import annotations

import argparse

from factory.bench.results import Results
from factory.bench.tokens.benchmark import SYSTEMS
from factory.bench.tokens.benchmark import measure as count_tokens
from factory.bench.tokens.report import report
from factory.cli.commands.bench_instructions import require_emulation
from factory.cli.options import add_build_options, make_run
from factory.cli.values import count
from factory.model.target import ALL_PROFILES

DEFAULT_PROFILES = ("rv64gc", "k1")
TOKENS = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--system", action="append", choices=SYSTEMS, help="program to count; repeatable (default: all)"
    )
    help_text = f"CPU to run on; repeatable (default: {', '.join(DEFAULT_PROFILES)})"
    parser.add_argument("--profile", action="append", choices=ALL_PROFILES, help=help_text)
    parser.add_argument(
        "--tokens", type=count, default=TOKENS, metavar="N", help="number of tokens to count (default: %(default)s)"
    )
    add_build_options(parser)


def measure(args: argparse.Namespace) -> Results:
    """Count every combination of the chosen programs and profiles."""
    chosen = make_run(args)
    require_emulation(chosen)
    found = count_tokens(args.system or SYSTEMS, args.profile or DEFAULT_PROFILES, args.tokens, chosen)
    return report(list(found))
