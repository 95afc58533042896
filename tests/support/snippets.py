"""Commands and settings that the site's pages offer for copying."""

from __future__ import annotations

import html
import re
from pathlib import Path

_INLINE = re.compile(r"<code>((?:factory|pip|uv|python3|ldd|cat) [^<]*)</code>")
_COMMAND = re.compile(r'<div class="command"><pre tabindex="0"><code>(.*?)</code>', re.DOTALL)


def snippets_of(page: str) -> list[str]:
    """Return the texts of a page that have a copy button."""
    return [html.unescape(text).strip("\n") for text in _COMMAND.findall(page)]


def snippets_below(out: Path) -> dict[str, list[str]]:
    """Return the snippets of all pages by the page's path below the folder of the site."""
    pages = sorted(path for path in out.rglob("*.html") if path.relative_to(out).parts[0] != "simple")
    found = {str(path.relative_to(out)): snippets_of(path.read_text(encoding="utf-8")) for path in pages}
    return {page: snippets for page, snippets in found.items() if snippets}


def inline_commands_below(out: Path) -> set[str]:
    """Return the commands in the sentences of all pages."""
    pages = [path.read_text(encoding="utf-8") for path in out.rglob("*.html")]
    return {html.unescape(text) for page in pages for text in _INLINE.findall(_COMMAND.sub("", page))}
