"""Comparison of a written site with its ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from pathlib import Path

from factory.publish.ledger import Ledger
from factory.publish.verify import find_page_differences
from factory.site.writer import encode_page, site_pages

# Other folders of an output: installers' pages and files are compared with their releases; the ledger may be inside.
OTHER_FOLDERS = ("simple", "files", "ledger")
# Files for a web server or a domain may be in the top folder. Pages and feeds there must come from the ledger.
PAGE_SUFFIXES = (".html", ".xml")


def page_differences(ledger: Ledger, output: Path) -> tuple[str, ...]:
    """List the pages that are missing, unknown or differ from the ledger.

    Raises:
        PublishError: a file of the ledger is damaged.
    """
    pages = ((name, text) for name, text in site_pages(ledger) if name.partition("/")[0] not in OTHER_FOLDERS)
    expected = {name: hashlib.sha256(encode_page(text)).hexdigest() for name, text in pages}
    folders = sorted({name.partition("/")[0] for name in expected if "/" in name})
    return (*find_page_differences(expected, folders, output), *_unknown(expected, output))


def _unknown(expected: Container[str], output: Path) -> Iterator[str]:
    files = sorted(path.name for path in output.glob("*") if not path.is_dir())
    pages = (name for name in files if name.lower().endswith(PAGE_SUFFIXES))
    yield from (f"{name}: not a page of the ledger" for name in pages if name not in expected)
