"""`factory diff`: make a patch of what was changed in a package's shell."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from packaging.utils import canonicalize_name

from factory.cli.options import add_plan_options, add_recipes_python_option, add_toolchain_option, run_for_python
from factory.errors import PatchError
from factory.host.ownership import owned_by_user
from factory.pipeline.job import prepare_package
from factory.util.paths import shown_path

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("name", metavar="NAME", help="a package whose /build/src was changed in `factory shell NAME`")
    parser.add_argument(
        "--new",
        action="append",
        default=[],
        metavar="FILE",
        help="new file, as below /build/src, that belongs to the patch; repeatable",
    )
    parser.add_argument("--subject", metavar="TEXT", help="what the patch does; writes it below patches/")
    parser.add_argument("--description", metavar="TEXT", help="what is wrong, and why the patch is right")
    add_recipes_python_option(parser)
    add_toolchain_option(parser)
    add_plan_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the diff, or write it as a patch."""
    from factory.pipeline.source_diff import diff_source, write_patch

    if (args.subject is None) != (args.description is None):
        args.refuse("arguments --subject and --description: give both, or neither")
    chosen = replace(run_for_python(args), makes_layers=False)
    prepared = prepare_package(canonicalize_name(args.name), chosen, args.toolchain)
    label = prepared.job.label
    with prepared.locked(chosen), chosen.stages(label)("diff") as log:
        found = diff_source(prepared, chosen, log, new=args.new)
        for path, reason in found.left_out.items():
            chosen.reporter.line(f"{label}: {path}: left out: {reason}")
        if not found.text:
            raise PatchError(f"{label}: no change: no file of its source differs")
        if args.subject is None:
            sys.stdout.write(found.text)
            return 0
        with owned_by_user(chosen.recipes.patches):
            written = write_patch(found.text, args.subject, args.description, prepared, chosen, log)
    print(f"{shown_path(written)}: written; it applies after the other patches")
    return 0
