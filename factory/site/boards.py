"""Which boards count as which ISA profile, and the rules by which a browser tells it from /proc/cpuinfo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.board import finder

SCRIPT = Path(finder.__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Boards with one CPU: the profile whose checks speak for it, and what there is to know of its vectors."""

    names: str
    cpu: str
    profile: str
    vectors: str


# As the board finder judges what these boards say of themselves: tests/test_board.py has their /proc/cpuinfo.
BOARDS = (
    Board(names="StarFive VisionFive 2, Milk-V Mars", cpu="JH7110 (SiFive U74)", profile="rv64gc", vectors="none"),
    Board(names="SiFive HiFive Premier P550", cpu="EIC7700X (SiFive P550)", profile="rv64gc", vectors="none"),
    Board(
        names="Lichee RV, MangoPi MQ-Pro",
        cpu="D1 (T-Head C906)",
        profile="rv64gc",
        vectors="draft 0.7.1, which wheels don't use",
    ),
    Board(
        names="Lichee Pi 4A, BeagleV-Ahead",
        cpu="TH1520 (T-Head C910)",
        profile="rv64gc",
        vectors="draft 0.7.1, which wheels don't use",
    ),
    Board(
        names="Milk-V Pioneer",
        cpu="SG2042 (T-Head C920)",
        profile="rv64gc",
        vectors="draft 0.7.1, which wheels don't use",
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
    """The board finder's tables, for the page's JavaScript, so that there is one place to change them."""
    return {
        "base": sorted(finder.BASE),
        "rva22": sorted(finder.RVA22),
        "thead": finder.THEAD,
        "draftArchitecture": finder.DRAFT_ARCHITECTURE,
        "draftCores": finder.DRAFT_CORES.pattern,
        "knownVlen": finder.KNOWN_VLEN,
        "vectorProfiles": [[name, vlen, sorted(needed)] for name, vlen, needed in finder.VECTOR_PROFILES],
    }
