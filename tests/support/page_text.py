"""Text of a page as a person reads it."""

from __future__ import annotations

import re


def plain(page: str) -> str:
    """Return the text of a page's main part, without markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())
