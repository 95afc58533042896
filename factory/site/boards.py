"""Boards with their ISA profiles, and the rules that map a CPU to a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.board import finder

SCRIPT = Path(finder.__file__)


NO_VECTORS, DRAFT = "none", "draft 0.7.1, not used by wheels"
K1_VECTORS = "RVV 1.0, 256 bits, 16-bit floats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Boards with one CPU.

    They have its vector extension, the profile that it counts as, and the largest memory in GB.

    The memory is 0 where it is not known.
    """

    names: str
    cpu: str
    profile: str
    vectors: str
    memory: float = 0


# The profiles agree with the board finder: tests/support/boards.py has the /proc/cpuinfo of these boards. Memory is
# stated where a source was read: Gentoo's wiki (VisionFive 2), news of the release (Mars, P550), Poplar's documentation
# (MQ-Pro), postmarketOS' wiki and the K1's datasheet (BPI-F3).
BOARDS = (
    Board(
        names="StarFive VisionFive 2, Milk-V Mars",
        cpu="JH7110 (SiFive U74)",
        profile="rv64gc",
        vectors=NO_VECTORS,
        memory=8,
    ),
    Board(names="Pine64 Star64", cpu="JH7110 (SiFive U74)", profile="rv64gc", vectors=NO_VECTORS),
    Board(names="SiFive HiFive Unmatched", cpu="FU740 (SiFive U74)", profile="rv64gc", vectors=NO_VECTORS),
    Board(
        names="SiFive HiFive Premier P550",
        cpu="EIC7700X (SiFive P550)",
        profile="rv64gc",
        vectors=NO_VECTORS,
        memory=16,
    ),
    Board(names="Milk-V Megrez", cpu="EIC7700X (SiFive P550)", profile="rv64gc", vectors=NO_VECTORS),
    Board(names="MangoPi MQ-Pro", cpu="D1 (T-Head C906)", profile="rv64gc", vectors=DRAFT, memory=1),
    Board(names="Lichee RV", cpu="D1 (T-Head C906)", profile="rv64gc", vectors=DRAFT),
    Board(names="Lichee Pi 4A, BeagleV-Ahead", cpu="TH1520 (T-Head C910)", profile="rv64gc", vectors=DRAFT),
    Board(names="Milk-V Pioneer", cpu="SG2042 (T-Head C920)", profile="rv64gc", vectors=DRAFT),
    Board(names="CanMV K230", cpu="K230 (T-Head C908)", profile="rvv128", vectors="RVV 1.0, 128 bits"),
    Board(names="Banana Pi BPI-F3", cpu="SpacemiT K1 (X60)", profile="k1", vectors=K1_VECTORS, memory=16),
    Board(
        names="Milk-V Jupiter, MUSE Book, Lichee Pi 3A",
        cpu="SpacemiT K1 or M1 (X60)",
        profile="k1",
        vectors=K1_VECTORS,
    ),
    Board(names="Orange Pi RV2", cpu="Ky X1 (X60)", profile="k1", vectors=K1_VECTORS),
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
        "coresByModel": finder.CORES_BY_MODEL,
        "coresByNumbers": {f"{vendor:x},{core:x}": name for (vendor, core), name in finder.CORES_BY_NUMBERS.items()},
        "knownExtensions": {name: sorted(extensions) for name, extensions in finder.KNOWN_EXTENSIONS.items()},
        "glibc": ".".join(map(str, finder.GLIBC)),
        "pythons": finder.PYTHONS,
        "vectorProfiles": [[name, vlen, sorted(needed)] for name, vlen, needed in finder.VECTOR_PROFILES],
    }
