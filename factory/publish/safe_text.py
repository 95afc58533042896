"""Text of strangers made harmless to look at: nothing in it can deceive a page, a feed or a reader's eye."""

from __future__ import annotations

import json
import re

HARMLESS = "\N{REPLACEMENT CHARACTER}"
# Control characters but for tabs and newlines; what reverses, hides or joins text; halves of surrogate pairs.
HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
COMBINING = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# What JSON text of ASCII has only where a string in it may be harmful, besides DEL itself.
SUSPICIOUS = re.compile(rb"\\[ubfr]")


def harmless(text: str) -> str:
    """Text without characters that a page, a feed or a reader's eye can be deceived with."""
    if text.isascii() and text.isprintable():
        return text
    return COMBINING.sub(r"\1", HARMFUL.sub(HARMLESS, text))


def is_harmless(content: bytes) -> bool:
    """Whether no string in JSON text can be harmful, as far as the text's own bytes show; most have none that might."""
    if not content.isascii() or b"\x7f" in content:
        return False
    return b"\\" not in content or SUSPICIOUS.search(content) is None


def harmless_json(content: bytes) -> object:
    """What JSON text holds, with all its strings made harmless.

    Raises:
        ValueError: it isn't JSON.
    """
    value = json.loads(content)
    return value if is_harmless(content) else _harmless(value)


def _harmless(value: object) -> object:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, list):
        return [_harmless(each) for each in value]
    if isinstance(value, dict):
        return {harmless(name): _harmless(each) for name, each in value.items()}
    return value
