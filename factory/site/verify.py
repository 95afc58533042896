"""Is a written site what its ledger gives?"""

from __future__ import annotations

import hashlib
from pathlib import Path

from factory.publish.ledger import Ledger
from factory.publish.verify import wrong_pages
from factory.site.writing import encoded, site_pages

# What else lies in an output: installers' pages and files are compared with their releases, and it may hold the ledger.
NOT_OURS = ("simple", "files", "ledger")


def page_differences(ledger: Ledger, output: Path) -> tuple[str, ...]:
    """What of the site below `output` is missing, strange, or another than the ledger makes it; one line each.

    Raises:
        PublishError: a file of the ledger is damaged.
    """
    pages = ((name, text) for name, text in site_pages(ledger) if name.partition("/")[0] not in NOT_OURS)
    expected = {name: hashlib.sha256(encoded(text)).hexdigest() for name, text in pages}
    folders = sorted({name.partition("/")[0] for name in expected if "/" in name})
    return tuple(wrong_pages(expected, folders, output))
