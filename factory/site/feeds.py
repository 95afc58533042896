"""Atom feeds of new versions: one of all projects, and one of each project."""

from __future__ import annotations

from collections.abc import Sequence

import markupsafe

from factory.publish.simple_api import quote_path
from factory.site.config import Settings
from factory.site.inputs import Site
from factory.site.macro_cache import Values, fill_macro
from factory.site.projects import Project, VersionNews
from factory.site.templating import render

NEWEST_OF_ALL = 50  # versions in the feed of all projects
NEWEST_OF_ONE = 20  # versions in a project's own feed


def site_feed(entries: Sequence[tuple[str, VersionNews]], site: Site) -> str:
    """Render the feed of all projects from (project, version) pairs."""
    return _feed(entries, site, 0, name="")


def project_feed(project: Project, site: Site) -> str:
    """Render the feed of one project."""
    newest = [each.news for each in project.versions[:NEWEST_OF_ONE]]
    return _feed([(project.name, each) for each in newest if each.time], site, 2, name=project.name)


def newest_versions(entries: Sequence[tuple[str, VersionNews]], count: int) -> list[tuple[str, VersionNews]]:
    """Return the newest entries, newest first.

    Old ones are dropped before sorting, since there may be very many.
    """
    since = sorted((each.time for _, each in entries), reverse=True)[:count][-1:]
    late = [entry for entry in entries if entry[1].time >= since[0]]
    return sorted(late, key=lambda entry: (entry[1].time, entry[0], entry[1].version), reverse=True)[:count]


def _feed(entries: Sequence[tuple[str, VersionNews]], site: Site, depth: int, *, name: str) -> str:
    newest = newest_versions(entries, NEWEST_OF_ALL)
    root = "../" * depth
    top = f"{site.settings.url}/" if site.settings.url else root
    lines = markupsafe.Markup("".join(_entry(project, each, site.settings, top) for project, each in newest))
    values = {"name": name, "updated": newest[0][1].time if newest else "", "lines": lines}
    return render("feed.xml", root, site.settings, values)


def _entry(project: str, news: VersionNews, settings: Settings, top: str) -> str:
    values = {
        "project": project,
        "version": news.version,
        "id": settings.urn_of(f"release/{project}/{news.version}"),
        "time": news.time,
        "link": f"{top}project/{quote_path(project)}/{quote_path(news.version)}.html",
    }
    return fill_macro("lines.html", "news", Values(texts=values), news.wheels, news.pythons, news.profiles)
