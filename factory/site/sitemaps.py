"""Sitemaps: the addresses of all pages for search engines (sitemaps.org)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import markupsafe

from factory.model.target import PROFILES
from factory.publish.simple_api import quote_path
from factory.site.config import Settings
from factory.site.projects import Project

ADDRESSES = 50_000  # the protocol's limit for one file
SITEMAP = re.compile(r"sitemap(-[0-9]+)?\.xml")
SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"


def project_addresses(project: Project, settings: Settings) -> str:
    """Return the sitemap entries of a project's pages, one a line."""
    folder = f"{settings.url}/project/{quote_path(project.name)}"
    names = ("index", *(quote_path(each.version) for each in project.versions))
    return "".join(_address(f"{folder}/{name}.html") for name in names)


def sitemaps(addresses: Iterable[str], settings: Settings) -> Mapping[str, str]:
    """Return the sitemap as text by file name.

    There are several files and an index of them if one cannot hold all addresses.
    `addresses` has the entries of each project as `project_addresses` gives them.
    """
    own = ["", *(f"{folder}/index.html" for folder in ("boards", "coverage", "builds"))]
    own += [f"boards/{name}.html" for name in PROFILES]
    lines = [_address(f"{settings.url}/{page}") for page in own]
    for each in addresses:
        lines += each.splitlines(keepends=True)
    maps = [lines[start : start + ADDRESSES] for start in range(0, len(lines), ADDRESSES)]
    if len(maps) == 1:
        return {"sitemap.xml": _sitemap("urlset", lines)}
    names = [f"sitemap-{number}.xml" for number in range(1, len(maps) + 1)]
    index = [_address(f"{settings.url}/{name}", "sitemap") for name in names]
    named = {name: _sitemap("urlset", part) for name, part in zip(names, maps, strict=True)}
    return {**named, "sitemap.xml": _sitemap("sitemapindex", index)}


def _sitemap(kind: str, lines: Sequence[str]) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{kind} xmlns="{SITEMAPS}">\n{"".join(lines)}</{kind}>\n'


def _address(address: str, kind: str = "url") -> str:
    return f"<{kind}><loc>{markupsafe.escape(address)}</loc></{kind}>\n"
