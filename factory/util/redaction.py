"""Known secrets, hidden by value in logs, records and errors.

Modules that read this machine's configuration `learn` its secrets before they hand them to a program. Values of fewer
than four characters are not hidden, since other words contain them; users and passwords of URLs always are.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from threading import Lock
from urllib.parse import quote, unquote

HIDDEN = "***"
MIN_CHARACTERS = 4
# A user's name is a secret itself if it can be a token: long, with letters and digits.
TOKEN_CHARACTERS = 12
# Passwords that stand for none, beside a token as the user's name.
NO_PASSWORDS = {"", "x-oauth-basic"}

_USERINFO = re.compile(r"://(?P<user>[^\s/@:'\"]*)(?::(?P<password>[^\s/'\"]*))?@")
_USER_AND_PASSWORD = re.compile(r"(?<=://)[^\s/@:'\"<>]*:[^\s/'\"<>]+(?=@)")


class _Known:
    """The secrets of this process and the expression that finds them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spellings: frozenset[str] = frozenset()
        self.expression: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        found = {spelling for value in values for spelling in _spellings(value) if len(spelling) >= MIN_CHARACTERS}
        with self._lock:
            if found <= self._spellings:
                return
            self._spellings = self._spellings | found
            longest_first = sorted(self._spellings, key=lambda each: (-len(each), each))
            self.expression = re.compile("|".join(map(re.escape, longest_first)))


_KNOWN = _Known()


def learn(values: Iterable[str]) -> None:
    """Hide the values, and their percent-encoded and decoded forms, from now on."""
    _KNOWN.add(values)


def redact(text: str) -> str:
    """Return the text without known secrets, and without users and passwords of URLs."""
    if _KNOWN.expression is not None:
        text = _KNOWN.expression.sub(HIDDEN, text)
    return _USER_AND_PASSWORD.sub(HIDDEN, text) if "://" in text else text


def without_secrets(text: str) -> str:
    """Remove credentials and queries, which can hold tokens, from the URLs in a text."""
    text = re.sub(r"://[^@/\s]*@", "://", text)
    return re.sub(r"\?[^\s'\")]*", "", text)


def url_secrets(text: str) -> set[str]:
    """Return the secrets of URLs in a text: passwords, tokens, and HTTP's Basic form."""
    found = set()
    for match in _USERINFO.finditer(text):
        user, password = match["user"], match["password"] or ""
        found.add(password)
        if password in NO_PASSWORDS or _is_like_token(user):
            found.add(user)
        found.add(basic_credentials(unquote(user), unquote(password)))
    return found - NO_PASSWORDS


def basic_credentials(user: str, password: str) -> str:
    """Return user and password as the header of HTTP's basic authentication has them."""
    return b64encode(f"{user}:{password}".encode()).decode()


def _is_like_token(user: str) -> bool:
    return len(user) >= TOKEN_CHARACTERS and any(map(str.isdigit, user)) and any(map(str.isalpha, user))


def _spellings(value: str) -> set[str]:
    return {value, quote(value, safe=""), unquote(value)}
