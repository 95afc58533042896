"""`factory bench qemu`: measure the speed of a language model under QEMU."""

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
# The published experiment's `-n`. Its prompt is unknown; a short one leaves the time to the generation.
TOKENS = 100
PROMPT = "hi you"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--emulation", action="append", choices=MODES, help="mode of QEMU; repeatable (default: both)")
    parser.add_argument(
        "--profile",
        action="append",
        choices=PROFILES,
        help=f"CPU to run on; repeatable (default: {', '.join(DEFAULT_PROFILES)})",
    )
    parser.add_argument(
        "--model", action="append", choices=MODELS, help="model to run; repeatable (default: all three)"
    )
    parser.add_argument(
        "--tokens", type=count, default=TOKENS, metavar="N", help="number of tokens to generate (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=count,
        default=processors(),
        metavar="N",
        help="threads of the model and processors of the virtual machine (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=duration,
        default=300,
        metavar="DURATION",
        help="time limit of a run; a run that reaches it generates fewer tokens (default: 5m)",
    )
    parser.add_argument("--force", action="store_true", help="measure again what was already measured")
    add_build_options(parser)


def measure(args: argparse.Namespace) -> Results:
    """Measure every combination of the chosen modes, profiles and models."""
    chosen = make_run(args)
    if chosen.config.mode == NATIVE_MODE:
        raise PrerequisiteMissing(
            "bench qemu: cannot measure QEMU: riscv64 programs do not run under QEMU on this machine",
            hint="run it on an x86-64 machine",
        )
    request = Request(prompt=PROMPT, tokens=args.tokens, threads=args.threads, seconds=args.limit)
    cells = [
        Cell(mode=mode, profile=profile, model=model)
        for mode in args.emulation or MODES
        for profile in args.profile or DEFAULT_PROFILES
        for model in args.model or MODELS
    ]
    return report(measure_cells(cells, request, chosen, force=args.force))
