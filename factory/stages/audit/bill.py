"""Check of a wheel's bill of materials: it lists its bundled libraries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from factory.elf.bundled import is_bundled
from factory.model.materials import BILL
from factory.stages.audit.report import Finding, LibraryReport
from factory.stages.audit.wheel_reader import WheelFile

BILL_BYTES = 16 << 20


def check_bill(archive: WheelFile, libraries: Sequence[LibraryReport]) -> Iterator[Finding]:
    """Compare the factory's bill of materials in a wheel with its bundled libraries.

    A wheel without one, such as another project's, has only a note, and that only if it bundles libraries.
    """
    bundled = {each.path: each.sha256 for each in libraries if is_bundled(each.path)}
    content = archive.metadata(BILL, BILL_BYTES)
    if content is None:
        if bundled:
            yield _finding(f"it bundles {_some(bundled)} and has no {BILL}", violation=False)
        return
    try:
        components = json.loads(content)["components"]
        listed = _listed(components)
        named = _named(components)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        yield _finding(f"its {BILL} cannot be read: {error}")
        return
    if absent := sorted(set(bundled) - set(listed)):
        yield _finding(f"its {BILL} lacks the bundled library {_some(absent)}")
    if gone := sorted(set(listed) - set(bundled)):
        yield _finding(f"its {BILL} lists {_some(gone)}, which is no bundled library of the wheel")
    if other := sorted(path for path in set(bundled) & set(listed) if bundled[path] not in listed[path]):
        yield _finding(f"its {BILL} has another hash of {_some(other)}")
    licenses = archive.licenses()
    if unlicensed := sorted(name for name in named if not any(f"/{name}/" in path for path in licenses)):
        yield _finding(f"it has no licence file of the bundled {_some(unlicensed)}", violation=False)


def _listed(components: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Map the locations of components to their hashes."""
    found = {}
    for each in components:
        for occurrence in each.get("evidence", {}).get("occurrences", []):
            found[str(occurrence["location"])] = [str(digest["content"]) for digest in each["hashes"]]
    return found


def _named(components: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the known packages of bundled libraries."""
    return {str(each["name"]) for each in components if "evidence" in each and "purl" in each}


def _some(paths: Sequence[str] | Mapping[str, str]) -> str:
    first, *others = paths
    return f"{first} (and {len(others)} more)" if others else first


def _finding(message: str, *, violation: bool = True) -> Finding:
    detail = "build the wheel again: its libraries were changed after the repair" if violation else ""
    return Finding(kind="bill", library="", message=message, detail=detail, violation=violation)
