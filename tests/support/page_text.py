"""Text of a page as a person reads it."""

from __future__ import annotations

import re


def plain(page: str) -> str:
    """A page's text as it is read."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())
