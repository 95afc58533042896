"""Boards with their ISA profiles, and the rules that map a CPU to a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.board import finder

SCRIPT = Path(finder.__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Boards with one CPU, its vector extension, and the profile that it counts as."""

    names: str
    cpu: str
    profile: str
    vectors: str


# The profiles agree with the board finder: tests/support/boards.py has the /proc/cpuinfo of these boards.
BOARDS = (
    Board(names="StarFive VisionFive 2, Milk-V Mars", cpu="JH7110 (SiFive U74)", profile="rv64gc", vectors="none"),
    Board(names="SiFive HiFive Premier P550", cpu="EIC7700X (SiFive P550)", profile="rv64gc", vectors="none"),
    Board(
        names="Lichee RV, MangoPi MQ-Pro",
        cpu="D1 (T-Head C906)",
        profile="rv64gc",
        vectors="draft 0.7.1, not used by wheels",
    ),
    Board(
        names="Lichee Pi 4A, BeagleV-Ahead",
        cpu="TH1520 (T-Head C910)",
        profile="rv64gc",
        vectors="draft 0.7.1, not used by wheels",
    ),
    Board(
        names="Milk-V Pioneer",
        cpu="SG2042 (T-Head C920)",
        profile="rv64gc",
        vectors="draft 0.7.1, not used by wheels",
    ),
    Board(names="CanMV K230", cpu="K230 (T-Head C908)", profile="rvv128", vectors="RVV 1.0, 128 bits"),
    Board(
        names="Banana Pi BPI-F3, Milk-V Jupiter",
        cpu="SpacemiT K1 or M1 (X60)",
        profile="k1",
        vectors="RVV 1.0, 256 bits, 16-bit floats",
    ),
    Board(
        names="Boards with SG2044",
        cpu="SG2044 (T-Head C920v2)",
        profile="rva23",
        vectors="RVV 1.0, 128 bits, 16-bit floats",
    ),
    Board(names="Boards with SpacemiT K3", cpu="SpacemiT K3 (X100)", profile="rva23", vectors="RVV 1.0, 256 bits"),
)


def browser_rules() -> Mapping[str, object]:
    """Return the board finder's tables for the JavaScript of the boards page."""
    return {
        "base": sorted(finder.BASE),
        "rva22": sorted(finder.RVA22),
        "thead": finder.THEAD,
        "draftArchitecture": finder.DRAFT_ARCHITECTURE,
        "draftCores": finder.DRAFT_CORES.pattern,
        "knownVlen": finder.KNOWN_VLEN,
        "vectorProfiles": [[name, vlen, sorted(needed)] for name, vlen, needed in finder.VECTOR_PROFILES],
    }
