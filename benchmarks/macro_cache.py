"""Time of wheel sections with plain Jinja macros and with the macro cache.

Usage: python benchmarks/macro_cache.py [--wheels N] [--runs N]

Renders the section of each wheel of the made-up ledger of `index_scale.py` in both ways, in turn, and compares the two
results. Seconds are CPU time of this process.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Hashable, Sequence
from unittest import mock

import markupsafe
from index_scale import file_names, release_of, report_of

from factory.cli.console import print_table
from factory.site import wheel_section
from factory.site.macro_cache import Values
from factory.site.templating import macros
from factory.site.wheels import Wheel, make_wheel

PROJECT = "project_1"


def main() -> int:
    """Render the sections in both ways, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheels", type=int, default=2_000, help="wheels (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way (default: %(default)s)")
    arguments = parser.parse_args()
    wheels = [make_wheel(release_of(name), report_of(name)) for name in file_names(PROJECT, arguments.wheels)]
    plain, cached = [], []
    for _ in range(arguments.runs):
        with mock.patch.object(wheel_section, "fill_macro", call_macro):
            seconds, expected = render(wheels)
        plain.append(seconds)
        seconds, sections = render(wheels)
        cached.append(seconds)
        assert sections == expected
    rows = [(name, f"{min(seconds):.2f} s") for name, seconds in (("plain macros", plain), ("macro cache", cached))]
    print_table(("way", f"{arguments.wheels:,} sections"), [*rows, ("ratio", f"{min(plain) / min(cached):.1f}")])
    return 0


def render(wheels: Sequence[Wheel]) -> tuple[float, list[str]]:
    """Return the CPU seconds and the sections."""
    wheel_section._render_facts.cache_clear()
    started = time.process_time()
    sections = [wheel_section.wheel_section(number, wheel, PROJECT) for number, wheel in enumerate(wheels, 1)]
    return time.process_time() - started, sections


def call_macro(template: str, macro: str, values: Values, *constants: Hashable) -> str:
    """Render a macro as Jinja does; takes and returns the same as `fill_macro`."""
    safe = {name: markupsafe.Markup(text) for name, text in values.safe.items()}
    return str(getattr(macros(template), macro)({**values.texts, **values.lists, **safe}, *constants))


if __name__ == "__main__":
    sys.exit(main())
