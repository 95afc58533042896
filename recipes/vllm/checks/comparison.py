"""Inputs with fixed seeds, rounding modes, and comparisons with 64-bit floats."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import torch

KINDS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Largest difference, as a part of the largest expected value: sums of 24 bits, and results of 11 or 8 bits.
LIMITS = {torch.float32: 2e-5, torch.float16: 2.0**-9, torch.bfloat16: 2.0**-7}
# The field frm of RISC-V.
ROUNDING_MODES = {"nearest": 0, "to zero": 1, "down": 2, "up": 3, "nearest, ties away": 4}


class Mismatch(AssertionError):
    """A result that differs from the expected one."""


@dataclass(kw_only=True)
class Report:
    """Checks so far: their number, failures by name, and the largest difference as a part of its limit."""

    checked: int = 0
    worst: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, ratio: float) -> None:
        """Add a difference as a part of its limit."""
        self.checked += 1
        self.worst = max(self.worst, ratio)


class Inputs:
    """A source of random tensors that depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, kind: torch.dtype = torch.float32, scale: float = 1.0) -> torch.Tensor:
        """Return normally distributed values, rounded to `kind`."""
        return (torch.randn(shape, generator=self.generator) * scale).to(kind)

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """Return integers in [low, high)."""
        return torch.randint(low, high, shape, generator=self.generator)

    def permutation(self, count: int) -> torch.Tensor:
        """Return the numbers below `count` in random order."""
        return torch.randperm(count, generator=self.generator)


def ratio_of(found: torch.Tensor, exact: torch.Tensor, limit: float | None = None) -> float:
    """Return the largest difference in a row as a part of its limit, which is above 1 if it is too large.

    The limit is that of the found type unless given, times the row's largest expected value, and half of the distance
    of subnormal numbers: results that small are rounded to them (6e-8 apart in float16), however precise the kernel is.

    Raises:
        Mismatch: a value is not finite where the expected one is, or the shapes differ.
    """
    if found.shape != exact.shape:
        raise Mismatch(f"shape {tuple(found.shape)}, expected {tuple(exact.shape)}")
    rows, expected = found.double().flatten(0, -2), exact.double().flatten(0, -2)
    if not rows.isfinite().all():
        raise Mismatch(f"{int((~rows.isfinite()).sum())} of {rows.numel()} values are not finite")
    largest = expected.abs().amax(dim=-1).clamp_min(1e-30)
    numbers = torch.finfo(found.dtype)
    allowed = largest * (limit or LIMITS[found.dtype]) + numbers.smallest_normal * numbers.eps / 2
    return float(((rows - expected).abs().amax(dim=-1) / allowed).max())


def require(report: Report, name: str, ratio: float) -> None:
    """Add a ratio to the report.

    Raises:
        Mismatch: it is above 1.
    """
    report.add(name, ratio)
    if not ratio <= 1:
        raise Mismatch(f"the largest difference is {ratio:.3g} times the limit")


def require_refused(name: str, call: Callable[[], None]) -> None:
    """Call what an operator has to refuse.

    Raises:
        Mismatch: it is accepted.
    """
    try:
        call()
    except RuntimeError:
        return
    raise Mismatch(f"{name}: accepted")


@contextmanager
def rounding(mode: str) -> Iterator[None]:
    """Set the rounding mode of this thread while the body runs."""
    exchange = _exchange_mode()
    before = exchange(ROUNDING_MODES[mode])
    try:
        yield
    finally:
        exchange(before)


@cache
def _exchange_mode() -> Callable[[int], int]:
    """Return a function that sets frm and returns the old value.

    It is two instructions, `fsrm a0, a0` and `ret`: fesetround of the C library refuses "nearest, ties away".
    """
    code = bytes.fromhex("73152500 8280")
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.CDLL(None).__riscv_flush_icache(ctypes.c_void_p(start), ctypes.c_void_p(start + len(code)), 0)
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(start)
    _KEPT.append(memory)
    return function


_KEPT: list[mmap.mmap] = []
