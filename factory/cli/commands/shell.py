"""`factory shell`: open a shell in a package's last build environment."""

from __future__ import annotations

import argparse

from packaging.utils import canonicalize_name

from factory.cli.options import add_build_options, add_python_option, add_toolchain_option, run_for_python
from factory.model.protocols import Command
from factory.pipeline.debug_shell import debug_root
from factory.pipeline.job import prepare_package

NEEDS_ROOT = True
RUNS_COMMAND = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="a package; its source tree is /build/src")
    parser.add_argument("--network", action="store_true", help="turn the network on; builds have none")
    add_python_option(parser)
    add_toolchain_option(parser)
    add_build_options(parser)
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="command to run instead of a shell, after --")


def run(args: argparse.Namespace) -> int:
    """Open the shell; returns its exit status."""
    chosen = run_for_python(args)
    prepared = prepare_package(canonicalize_name(args.name), chosen, args.toolchain)
    with debug_root(prepared, chosen) as root:
        return root.interact(Command(args.command or ["bash"], network=args.network))
