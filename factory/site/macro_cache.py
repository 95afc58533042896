"""Macros rendered once with placeholders and filled in for each wheel.

Plain Jinja escapes and joins the 90 values of a section again for every wheel. For an index of 100,000 files this
takes 1.7 times the CPU time (`benchmarks/index_scale.py`, `benchmarks/macro_cache.py`). Most sections differ in these
values only, so the markup between them is rendered once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter

import msgspec

from factory.publish.safe_text import REPLACEMENT
from factory.site.templating import macros

PLACEHOLDER = "\0"  # absent from all values: text of the ledger is sanitized when it is read
# The replacements of Jinja's own escaping.
REFERENCES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;"), (PLACEHOLDER, REPLACEMENT))


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """Values of a macro by name: text, lists of text, and markup."""

    texts: Mapping[str, str]
    lists: Mapping[str, Sequence[str]] = {}
    safe: Mapping[str, str] = {}


def fill_macro(template: str, macro: str, values: Values, *constants: Hashable) -> str:
    """Render a macro with values and constants.

    The result is the same as calling it with all values in one mapping and then the constants.
    The macro may test whether a value is empty and how long a list is, and nothing else of the values: its markup is
    kept for each combination of these answers with the constants.
    """
    texts = [*values.texts.values()]
    for several in values.lists.values():
        texts += several
    pieces = [*_escape_all(texts), *values.safe.values()]
    names = (tuple(values.texts), tuple(values.lists), tuple(map(len, values.lists.values())), tuple(values.safe))
    form, in_order = _form(template, macro, names, tuple(map(bool, pieces)), constants)
    page = list(form)
    page[1::2] = in_order(pieces)
    return "".join(page)


def _escape_all(values: Sequence[str]) -> Sequence[str]:
    """Escape all values.

    Most need no escaping, which a search in their concatenation shows at once.
    """
    together = "".join(values)
    for character, reference in REFERENCES:
        if character in together:
            values = [each.replace(character, reference) if character in each else each for each in values]
    return values


# The names of texts, the names of lists and their lengths, and the names of markup.
Names = tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...], tuple[str, ...]]


@lru_cache(maxsize=1024)
def _form(
    template: str, macro: str, names: Names, present: Sequence[bool], constants: Sequence[Hashable]
) -> tuple[Sequence[str], Callable[[Sequence[str]], tuple[str, ...]]]:
    """Return a macro's markup split at the placeholders, and the order of values.

    Every other piece of the markup is a placeholder, and there are at least two.
    """
    gaps = [f"{PLACEHOLDER}{number}{PLACEHOLDER}" if there else "" for number, there in enumerate(present)]
    left, (texts, lists, counts, safe) = iter(gaps), names
    values: dict[str, str | list[str]] = dict(zip(texts, left, strict=False))
    values |= {name: list(islice(left, count)) for name, count in zip(lists, counts, strict=True)}
    values |= zip(safe, left, strict=True)
    pieces = str(getattr(macros(template), macro)(values, *constants)).split(PLACEHOLDER)
    return pieces, itemgetter(*map(int, pieces[1::2]))
