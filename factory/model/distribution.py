"""Distributions that roots are made of, with the versions of their tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A release of Debian, or of a distribution with the same package names.

    `python` is its default Python; `later_pythons` maps others to the suite of the same archive that has them.
    `rust` is the suffix of its Rust packages. Without a `mirror` and a `keyring`, mmdebstrap
    takes the suite's default ones.
    """

    name: str
    suite: str
    glibc: tuple[int, int]
    python: str
    gcc: str
    clang: str
    rust: str
    triplet: str = "riscv64-linux-gnu"
    later_pythons: Mapping[str, str] = field(default_factory=dict)
    mirror: str | None = None
    keyring: Path | None = None

    @property
    def pythons(self) -> tuple[str, ...]:
        """The Python versions of its roots, the default first."""
        return (self.python, *self.later_pythons)

    def python_suite(self, python: str) -> str:
        """Return the suite that has a Python version."""
        return self.later_pythons.get(python, self.suite)


TRIXIE = Distribution(
    name="Debian 13",
    suite="trixie",
    glibc=(2, 41),
    python="3.13",
    later_pythons={"3.14": "forky"},
    gcc="14",
    clang="22",
    # The packages for building web browsers: newer than the suite's plain ones, as many crates require.
    rust="-web",
)
DISTRIBUTIONS: Mapping[str, Distribution] = {distribution.suite: distribution for distribution in (TRIXIE,)}
DEFAULT_DISTRIBUTION = TRIXIE
