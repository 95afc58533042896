"""Text out of templates: pages as Jinja renders them, and macros that are rendered once and filled for every wheel."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2

from factory.model import PROFILES, PYTHONS
from factory.publish.harmless import HARMLESS
from factory.site import text
from factory.site.settings import Settings

PARTS = ("Packages", "Boards", "Coverage", "Builds")
GAP = "\0"  # texts of the ledger were made harmless, so that none has it
# As Jinja escapes a text, but without looking at each character for its own sake.
REFERENCES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;"))


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
        "size": text.size,
        "duration": text.duration,
        "day": text.day,
        "joined": ", ".join,
        "path_quoted": text.path_quoted,
        "from_package": text.from_package,
        "since": text.since,
    }
    environment.globals |= {"PYTHONS": PYTHONS, "PROFILES": PROFILES, "check_id": text.check_id}
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


def filled(template: str, macro: str, values: Mapping[str, str], safe: Mapping[str, str], *constants: Hashable) -> str:
    """A macro's text for `values`, and for `safe` ones, which are markup already, as the text is.

    It is what calling the macro gives, at a fraction of the time, which the pages of a hundred thousand wheels need:
    the macro is rendered once, with gaps for the values, for all whose constants are the same and of whose values the
    same are empty. So all that it may ask of a value is whether it is empty. It gets the values by name in one mapping,
    and the constants after it.
    """
    texts = (*_escaped(tuple(values.values())), *safe.values())
    pattern, in_order = _pattern(template, macro, (*values, *safe), tuple(map(bool, texts)), constants)
    return pattern % in_order(texts)


def _escaped(values: Sequence[str]) -> Sequence[str]:
    """All of them, escaped in one go."""
    joined = GAP.join(values)
    if joined.count(GAP) != len(values) - 1:
        joined = GAP.join(value.replace(GAP, HARMLESS) for value in values)
    for character, reference in REFERENCES:
        joined = joined.replace(character, reference)
    return joined.split(GAP)


@lru_cache(maxsize=1024)
def _pattern(
    template: str, macro: str, names: tuple[str, ...], present: tuple[bool, ...], constants: tuple[Hashable, ...]
) -> tuple[str, Callable[[Sequence[str]], tuple[str, ...]]]:
    """A macro's text as a pattern for Python's % operator, and what gives it the values in their order there."""
    gaps = {name: f"{GAP}{name}{GAP}" if there else "" for name, there in zip(names, present, strict=True)}
    pieces = str(getattr(macros(template), macro)(gaps, *constants)).split(GAP)
    pattern = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
    order = [names.index(piece) for piece in pieces[1::2]]
    return pattern, lambda texts: tuple([texts[place] for place in order])
