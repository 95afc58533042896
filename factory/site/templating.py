"""Jinja environment, page frame and page rendering of the site."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2

from factory.model.target import PROFILES, PYTHONS, Target
from factory.publish.simple_api import quote_path
from factory.site import filters
from factory.site.config import Settings
from factory.util.quantities import quantity
from factory.util.wheel_tags import riscv64_platforms

PARTS = ("Packages", "Boards", "Coverage", "Builds")


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
        "path_quoted": quote_path,
        "python_range": filters.python_range,
        "quantity": quantity,
        "shell": shlex.quote,
        "since": filters.since,
    }
    environment.globals |= {
        "PYTHONS": PYTHONS,
        "PROFILES": PROFILES,
        "PLATFORMS": riscv64_platforms(Target().glibc_floor),
        "check_id": filters.check_id,
    }
    return environment


def _bytecode_cache() -> jinja2.BytecodeCache | None:
    """Return the cache of compiled templates, None if it cannot be created."""
    try:
        return jinja2.FileSystemBytecodeCache()
    except (OSError, RuntimeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Markup around the content of all pages at one folder depth.

    `tops` maps the current part of the site (one of PARTS, or "") to the page header that marks it.
    """

    start: str
    links: str
    tops: Mapping[str, str]
    bottom: str


@lru_cache
def frame(settings: Settings, root: str) -> Frame:
    """Render the frame of pages at one depth; `root` leads to the top folder."""
    inside = macros("frame.html")
    tops = {here: inside.top(root, settings.title, here) for here in ("", *PARTS)}
    return Frame(start=inside.start(), links=inside.links(root), tops=tops, bottom=inside.bottom(root, settings))


def macros(template: str) -> Any:
    """Return a template's module, whose attributes are its macros."""
    return _environment().get_template(template).module


def render(template: str, root: str, settings: Settings, values: Mapping[str, object]) -> str:
    """Render a page that reaches the site's top folder by the relative path `root`."""
    page = _environment().get_template(template)
    return page.render(values, site=settings, root=root, frame=frame(settings, root))
