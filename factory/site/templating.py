"""Text out of templates: pages as Jinja renders them, and macros that are rendered once and filled for every wheel."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any

import jinja2
import msgspec

from factory.model.target import PROFILES, PYTHONS
from factory.publish.safe_text import HARMLESS
from factory.publish.simple_api import path_quoted
from factory.site import filters
from factory.site.config import Settings

PARTS = ("Packages", "Boards", "Coverage", "Builds")
GAP = "\0"  # texts of the ledger were made harmless, so that none has it
# As Jinja escapes a text.
REFERENCES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;"), (GAP, HARMLESS))


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("factory.site"),
        bytecode_cache=_bytecode_cache(),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "size": filters.size,
        "duration": filters.duration,
        "day": filters.day,
        "joined": ", ".join,
        "path_quoted": path_quoted,
        "since": filters.since,
    }
    environment.globals |= {"PYTHONS": PYTHONS, "PROFILES": PROFILES, "check_id": filters.check_id}
    return environment


def _bytecode_cache() -> jinja2.BytecodeCache | None:
    """Compiled templates, in a folder of the temporary one that is this user's alone; None where there can't be one."""
    try:
        return jinja2.FileSystemBytecodeCache()
    except (OSError, RuntimeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is the same on all pages that lie as deep as another; `tops` by the part of the site that they are in."""

    start: str
    links: str
    tops: Mapping[str, str]
    bottom: str


@lru_cache
def frame(title: str, root: str) -> Frame:
    """The frame of the pages from which the site's top folder is at `root`."""
    inside = macros("frame.html")
    tops = {here: inside.top(root, title, here) for here in ("", *PARTS)}
    return Frame(start=inside.start(), links=inside.links(root), tops=tops, bottom=inside.bottom(root))


def macros(template: str) -> Any:
    """A template's macros, as functions."""
    return _environment().get_template(template).module


def render(template: str, root: str, settings: Settings, values: Mapping[str, object]) -> str:
    """A template's text, from which the site's top folder is at `root`."""
    page = _environment().get_template(template)
    return page.render(values, site=settings, root=root, frame=frame(settings.title, root))


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What a macro is filled with, by name: texts, texts of which there are several, and markup as it stands there."""

    texts: Mapping[str, str]
    lists: Mapping[str, Sequence[str]] = {}
    safe: Mapping[str, str] = {}


def filled(template: str, macro: str, values: Values, *constants: Hashable) -> str:
    """A macro's text, which is markup, for some values.

    It is what calling the macro gives, at a fraction of the time, which the pages of a hundred thousand wheels need:
    the macro is rendered once, with gaps for the values, for all whose constants are the same, of whose values the same
    are empty, and whose lists are as long. So all that it may ask of a value is whether it is empty, and of a list how
    many it has. It gets the values by name in one mapping, and the constants after it.
    """
    texts = [*values.texts.values()]
    for several in values.lists.values():
        texts += several
    pieces = [*_escaped(texts), *values.safe.values()]
    names = (tuple(values.texts), tuple(values.lists), tuple(map(len, values.lists.values())), tuple(values.safe))
    form, in_order = _form(template, macro, names, tuple(map(bool, pieces)), constants)
    page = list(form)
    page[1::2] = in_order(pieces)
    return "".join(page)


def _escaped(values: Sequence[str]) -> Sequence[str]:
    """All of them, escaped. Most have nothing to escape, which one look at all of them together shows."""
    together = "".join(values)
    for character, reference in REFERENCES:
        if character in together:
            values = [each.replace(character, reference) if character in each else each for each in values]
    return values


# The names of texts, those of lists and how many each has, and the names of what is safe.
Names = tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...], tuple[str, ...]]


@lru_cache(maxsize=1024)
def _form(
    template: str, macro: str, names: Names, present: Sequence[bool], constants: Sequence[Hashable]
) -> tuple[Sequence[str], Callable[[Sequence[str]], tuple[str, ...]]]:
    """A macro's text in pieces, every other one a gap, and what puts the values, at least two, in the gaps' order."""
    gaps = [f"{GAP}{number}{GAP}" if there else "" for number, there in enumerate(present)]
    left, (texts, lists, counts, safe) = iter(gaps), names
    values: dict[str, str | list[str]] = dict(zip(texts, left, strict=False))
    values |= {name: list(islice(left, count)) for name, count in zip(lists, counts, strict=True)}
    values |= zip(safe, left, strict=True)
    pieces = str(getattr(macros(template), macro)(values, *constants)).split(GAP)
    return pieces, itemgetter(*map(int, pieces[1::2]))
