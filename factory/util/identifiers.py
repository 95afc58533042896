"""Stable identifiers (URNs) of what the index publishes."""

from __future__ import annotations

import uuid

OURS = "riscv64-wheel-factory"


def urn_of(name: str) -> str:
    """Return the URN (`urn:uuid:...`) of a name in this index.

    Feeds and bills of materials require one.
    """
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{OURS}/{name}").urn
