"""`factory bench qemu`: run a language model under QEMU, user mode and system mode, beside published figures."""

from __future__ import annotations

import argparse

from factory.bench.qemu.benchmark import MODELS, MODES, Cell
from factory.bench.qemu.benchmark import measure as measure_cells
from factory.bench.qemu.llama_completion import Request
from factory.bench.qemu.report import report
from factory.bench.results import Results
from factory.cli.options import add_build_options, make_run
from factory.cli.values import count, duration
from factory.errors import PrerequisiteMissing
from factory.model.target import NATIVE_MODE, PROFILES
from factory.pipeline.job_slots import processors

DEFAULT_PROFILES = ("rv64gc", "k1")
# The published experiment's `-n`. Its prompt isn't known here; a short one leaves the time to what is generated.
TOKENS = 100
PROMPT = "hi you"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--emulation", action="append", choices=MODES, help="in this mode of QEMU only; repeatable (default: both)"
    )
    parser.add_argument(
        "--profile",
        action="append",
        choices=PROFILES,
        help=f"on this CPU only; repeatable (default: {', '.join(DEFAULT_PROFILES)})",
    )
    parser.add_argument(
        "--model", action="append", choices=MODELS, help="this model only; repeatable (default: all three)"
    )
    parser.add_argument(
        "--tokens", type=count, default=TOKENS, metavar="N", help="generate so many (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=count,
        default=processors(),
        metavar="N",
        help="threads of the model, and processors of the virtual machine (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=duration,
        default=300,
        metavar="DURATION",
        help="generate fewer tokens where one run takes longer (default: 5m)",
    )
    parser.add_argument("--again", action="store_true", help="measure what is measured already, too")
    add_build_options(parser)


def measure(args: argparse.Namespace) -> Results:
    """Measure every combination of what was chosen."""
    chosen = make_run(args)
    if chosen.config.mode == NATIVE_MODE:
        raise PrerequisiteMissing(
            "this measures QEMU, and here riscv64 programs run on the machine itself", hint="measure on x86-64"
        )
    request = Request(prompt=PROMPT, tokens=args.tokens, threads=args.threads, seconds=args.limit)
    cells = [
        Cell(mode=mode, profile=profile, model=model)
        for mode in args.emulation or MODES
        for profile in args.profile or DEFAULT_PROFILES
        for model in args.model or MODELS
    ]
    return report(measure_cells(cells, request, chosen, again=args.again))
