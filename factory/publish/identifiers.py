"""Identifiers of what the index publishes, which stay, however often it is written."""

from __future__ import annotations

import uuid

OURS = "riscv64-wheel-factory"


def urn_of(name: str) -> str:
    """The URN of what has this name here, as in `urn:uuid:...`: feeds and bills of materials want one."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{OURS}/{name}").urn
