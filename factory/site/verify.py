"""Is a written site what its ledger gives?"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from pathlib import Path

from factory.publish.ledger import Ledger
from factory.publish.verify import wrong_pages
from factory.site.writer import encoded, site_pages

# What else lies in an output: installers' pages and files are compared with their releases, and it may hold the ledger.
NOT_OURS = ("simple", "files", "ledger")
# At the top there may be files for a web server or a domain; a page or a feed there is the site's word to its readers.
READ_BY_PEOPLE = (".html", ".xml")


def page_differences(ledger: Ledger, output: Path) -> tuple[str, ...]:
    """What of the site below `output` is missing, strange, or another than the ledger makes it; one line each.

    Raises:
        PublishError: a file of the ledger is damaged.
    """
    pages = ((name, text) for name, text in site_pages(ledger) if name.partition("/")[0] not in NOT_OURS)
    expected = {name: hashlib.sha256(encoded(text)).hexdigest() for name, text in pages}
    folders = sorted({name.partition("/")[0] for name in expected if "/" in name})
    return (*wrong_pages(expected, folders, output), *_strange(expected, output))


def _strange(expected: Container[str], output: Path) -> Iterator[str]:
    files = sorted(path.name for path in output.glob("*") if not path.is_dir())
    pages = (name for name in files if name.lower().endswith(READ_BY_PEOPLE))
    yield from (f"{name}: nothing in the ledger makes it" for name in pages if name not in expected)
