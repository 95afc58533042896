"""Availability states of a package for one Python version."""

from __future__ import annotations

from dataclasses import dataclass

# BUILT: built here and checked on that Python. UNCHECKED: built here, checked on other Pythons only. UPSTREAM: riscv64
# wheel of the project itself. PURE: its wheel for every machine. FAILED: the build failed. MISSING: none of these.
BUILT, UNCHECKED, UPSTREAM, PURE, FAILED, MISSING = "built", "unchecked", "upstream", "pure", "failed", "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Availability of a package for one Python: a kind from above, and the version.

    `profiles` is the number of profiles that its checks passed on. `repacked` marks wheels made from a distribution's
    packages instead of compiled here.
    """

    kind: str
    version: str = ""
    profiles: int = 0
    repacked: bool = False
