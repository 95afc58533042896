"""The bill of materials inside a wheel, compared with the published one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from factory.errors import PublishError
from factory.model.materials import BILL
from factory.publish.wheel_metadata import UNREADABLE
from factory.util.jsonio import decode

BILL_LIMIT = 16 << 20


def read_own_bill(wheel: Path) -> bytes | None:
    """Read the factory's bill of materials in a wheel; None if there is none.

    Raises:
        PublishError: it cannot be read, or is too large.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [
                name for name in archive.namelist() if name.endswith(f".dist-info/{BILL}") and name.count("/") == 2
            ]
            if not names:
                return None
            with archive.open(names[0]) as member:
                content = member.read(BILL_LIMIT + 1)
    except UNREADABLE as error:
        raise PublishError(f"{wheel.name}: cannot read its {BILL}: {error}") from error
    if len(content) > BILL_LIMIT:
        raise PublishError(f"{wheel.name}: its {BILL} is larger than {BILL_LIMIT} bytes")
    return content


def count_shared_parts(own: bytes, published: bytes) -> int | None:
    """Return how many parts two bills list; None if they contradict each other.

    Raises:
        One of DAMAGED: one of them has another form.
    """
    ours, theirs = (_facts(decode(content, dict[str, Any])) for content in (own, published))
    return len(ours["components"]) if ours == theirs else None


def _facts(bill: dict[str, Any]) -> dict[str, Any]:
    wheel = bill["metadata"]["component"]
    stated = {name: wheel[name] for name in ("bom-ref", "name", "version", "purl")}
    pedigree = {"patches": wheel["pedigree"].get("patches", []), "notes": wheel["pedigree"].get("notes", "")}
    return {**stated, **pedigree, "components": list(bill["components"])}
