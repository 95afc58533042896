"""Rules for the addresses of sources in recipes.

Recipes and records are published: an address has no user, no password, and no query, which can be a token. A refusal
does not repeat the address.
"""

from __future__ import annotations

import re

from factory.model.declaration import matching
from factory.stages.sources.archive import SUFFIXES

_NO_QUERY = r"(?![^\n]*[?#\\\"'])"
_HTTP = r"https?://[A-Za-z0-9\[][A-Za-z0-9.:\[\]_-]*/[!-~]+"
_PLAIN = "without user, password, query and fragment; a private server's login belongs in netrc"

ARCHIVE_ADDRESS = matching(
    rf"{_NO_QUERY}{_HTTP}(?:{'|'.join(map(re.escape, SUFFIXES))})",
    f"must be an https or http address that ends in one of {', '.join(SUFFIXES)}, {_PLAIN}",
)
COMMIT = matching(
    r"(?:[0-9a-f]{40}|[0-9a-f]{64})", "must be a whole commit: 40 lowercase hexadecimal digits, or 64 of git's new hash"
)
TAG = matching(r"[A-Za-z0-9][A-Za-z0-9._/+-]*", "{value} is not the name of a tag")
REPOSITORY_ADDRESS = matching(
    rf"{_NO_QUERY}(?:{_HTTP}|file:///[!-~]+)",
    f"must be the https, http or file:/// address of a git repository, {_PLAIN}",
)
