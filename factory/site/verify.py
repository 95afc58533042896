"""Is a written site what its ledger gives?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from factory.files import sha256_of
from factory.publish.ledger import Ledger
from factory.site.writing import encoded, site_pages

# What else lies in an output: installers' pages and files are compared with their releases, and it may hold the ledger.
NOT_OURS = ("simple", "files", "ledger")


def page_differences(ledger: Ledger, output: Path) -> tuple[str, ...]:
    """What of the site below `output` is missing, strange, or another than the ledger makes it; one line each.

    Raises:
        PublishError: a file of the ledger is damaged.
    """
    expected = {name: encoded(text) for name, text in site_pages(ledger) if name.partition("/")[0] not in NOT_OURS}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in expected.items()}
    return (*_wrong(hashes, output), *_strange(set(hashes), output))


def _wrong(expected: dict[str, str], output: Path) -> Iterator[str]:
    for name, sha256 in expected.items():
        path = output / name
        if not path.is_file():
            yield f"{name}: it is missing"
        elif sha256_of(path) != sha256:
            yield f"{name}: is not what the ledger gives"


def _strange(expected: set[str], output: Path) -> Iterator[str]:
    folders = {name.partition("/")[0] for name in expected if "/" in name}
    for folder in sorted(folders):
        found = (path.relative_to(output).as_posix() for path in (output / folder).rglob("*") if not path.is_dir())
        yield from (f"{name}: nothing in the ledger makes it" for name in sorted(found) if name not in expected)
