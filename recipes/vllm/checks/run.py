"""Samples of all checks, in two sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from checks import arguments, attention, layouts, operators, processes, recurrences
from checks.comparison import KINDS, Report

SMALL, WHOLE = "small", "whole"
Check = tuple[str, Callable[[Report], None]]


def run(size: str) -> Report:
    """Run a sample; failures do not end it, but are in the report."""
    report = Report()
    for part, checks in (("attention", attention_checks(size)), ("operators", operator_checks(size))):
        started, before = time.monotonic(), report.checked
        with torch.inference_mode():
            for name, check in checks:
                try:
                    check(report)
                except Exception as error:  # of any operator: the others are checked all the same
                    report.failures[f"{part}: {name}"] = f"{type(error).__name__}: {error}"
                    print(f"FAILED {part}: {name}: {error}", flush=True)
        seconds = time.monotonic() - started
        print(f"{part}: {report.checked - before} results compared in {seconds:.1f} s", flush=True)
    return report


def attention_checks(size: str) -> Iterator[Check]:
    """Return the cases of attention."""
    for case in attention.small() if size == SMALL else attention.whole():
        yield case.name, partial(attention.check, case)


def operator_checks(size: str) -> Iterator[Check]:
    """Return the checks of the other operators."""
    for name, kind, mode in operators.cases(all_modes=size == WHOLE):
        yield f"{name}, {kind}, rounding {mode}", partial(operators.check, name, kind, mode)
    for name, check in recurrences.CHECKS.items():
        for kind in KINDS:
            yield f"{name}, {kind}", partial(check, kind)
    for kind in KINDS:
        yield f"layouts, {kind}", partial(layouts.check, kind)
        yield f"arguments, {kind}", partial(arguments.check, kind)
    yield from processes.CHECKS.items()
