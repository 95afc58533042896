"""Sanitized text: untrusted text without control and bidirectional characters."""

from __future__ import annotations

import json
import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Control characters except tab and newline; bidirectional, invisible and joining characters; surrogates.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
COMBINING = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# Escapes in ASCII JSON text that may stand for an unsafe character; DEL is not escaped.
UNSAFE_ESCAPES = re.compile(rb"\\[ubfr]")


def sanitize(text: str) -> str:
    """Replace control and bidirectional characters, and limit combining characters."""
    if text.isascii() and text.isprintable():
        return text
    return COMBINING.sub(r"\1", UNSAFE.sub(REPLACEMENT, text))


def is_safe_json(content: bytes) -> bool:
    """Report whether JSON text is certain to need no sanitizing, from its bytes alone.

    Most text needs none.
    """
    if not content.isascii() or b"\x7f" in content:
        return False
    return b"\\" not in content or UNSAFE_ESCAPES.search(content) is None


def load_sanitized(content: bytes) -> object:
    """Parse JSON text and sanitize all of its strings.

    Raises:
        ValueError: it isn't JSON.
    """
    value = json.loads(content)
    return value if is_safe_json(content) else _sanitize(value)


def _sanitize(value: object) -> object:
    if isinstance(value, str):
        return sanitize(value)
    if isinstance(value, list):
        return [_sanitize(each) for each in value]
    if isinstance(value, dict):
        return {sanitize(name): _sanitize(each) for name, each in value.items()}
    return value
