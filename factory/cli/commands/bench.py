"""`factory bench`: measure packages, compilers and the emulator."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from factory.bench.plots import require_plots, write_svg
from factory.bench.results import Results
from factory.cli.commands import bench_instructions, bench_kernels, bench_qemu, bench_tokens
from factory.cli.console import print_table
from factory.cli.values import output_path
from factory.host.ownership import owned_by_user
from factory.util.jsonio import dumps

NEEDS_ROOT = True
# Each module has `configure(parser)` and `measure(args) -> Results`; its first line is the help text.
BENCHMARKS: Mapping[str, ModuleType] = {
    "instructions": bench_instructions,
    "kernels": bench_kernels,
    "qemu": bench_qemu,
    "tokens": bench_tokens,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmarks with their own and the common options."""
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="BENCHMARK", required=True)
    for name, benchmark in BENCHMARKS.items():
        summary = (benchmark.__doc__ or "").split(": ", 1)[-1].splitlines()[0].rstrip(".")
        child = benchmarks.add_parser(name, help=summary, description=summary[:1].upper() + summary[1:] + ".")
        benchmark.configure(child)
        child.add_argument("--json", action="store_true", help="print the values as JSON")
        child.add_argument("--plot", type=output_path, metavar="FILE.svg", help="also draw the values as a chart")
        child.set_defaults(measure=benchmark.measure)


def run(args: argparse.Namespace) -> int:
    """Measure and show the results."""
    if args.plot is not None:
        require_plots(args.plot)
    show(args.measure(args), json=args.json, plot=args.plot)
    return 0


def show(results: Results, *, json: bool, plot: Path | None) -> None:
    """Print the results as JSON or as a table; draw the chart if `plot` is a file."""
    if json:
        print(dumps(results.data), end="")
    else:
        for line in results.preface:
            print(line)
        print_table(results.headings, results.rows)
    if plot is not None:
        with owned_by_user(plot):
            write_svg(results.chart, plot)
