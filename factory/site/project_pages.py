"""Pages of one project: simple, project and version pages, JSON and feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import markupsafe

from factory.publish.simple_api import project_pages, quote_path
from factory.site.feeds import project_feed
from factory.site.inputs import Site
from factory.site.json_api import project_json
from factory.site.macro_cache import Values, fill_macro
from factory.site.projects import Project, VersionFiles
from factory.site.templating import frame, render
from factory.site.wheel_section import RESULTS, wheel_facts, wheel_section
from factory.site.wheels import log_title, sort_profiles

GRID_VERSIONS = 8  # newest versions in a project's grid of checks; every version has its own page
ROOT = "../" * 2  # from the folder of a project's pages


def render_project(project: Project, site: Site) -> Iterator[tuple[str, str]]:
    """Render all files of a project as (path below the output, text).

    They come one at a time, since all of them together exceed the caches of a processor.
    """
    folder = f"project/{project.name}"
    if project.releases:
        for name, page in project_pages(project.name, project.releases).items():
            yield f"simple/{project.name}/{name}", page
    yield f"{folder}/index.html", _project_page(project, site)
    yield f"{folder}/index.json", project_json(project, upstream_since(project, site))
    yield f"{folder}/feed.xml", project_feed(project, site)
    for name, lock in project.locks.items():
        yield f"{folder}/{name}", lock.text
    for each in project.versions:
        yield f"{folder}/{each.version}.html", _version_page(project, each, site)


def upstream_since(project: Project, site: Site) -> Mapping[str, str]:
    """Return the first version with the project's own riscv64 wheels, by Python."""
    return site.coverage.riscv64_since.get(project.name, {})


def _project_page(project: Project, site: Site) -> str:
    shown = project.versions[:GRID_VERSIONS]
    pythons, profiles = _axes(shown)
    current = project.current
    wheel = next((wheel for wheel in current.wheels if wheel.build is not None), None) if current else None
    values = {
        "project": project,
        "current": current,
        "wheel": wheel,
        "facts": wheel_facts(wheel) if wheel else None,
        "states": project.states,
        "pythons": pythons,
        "profiles": profiles,
        "rows": _join(_row(each, pythons, profiles) for each in shown),
        "older": project.versions[GRID_VERSIONS:],
        "since": upstream_since(project, site),
    }
    return render("project.html", ROOT, site.settings, values)


def _join(lines: Iterable[str]) -> markupsafe.Markup:
    return markupsafe.Markup("".join(lines))


def _axes(versions: Sequence[VersionFiles]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the Pythons and the profiles that have a check."""
    checks = [check for each in versions for wheel in each.wheels for check in wheel.checks]
    return sorted({check.python for check in checks}), sort_profiles(check.profile for check in checks)


class Cell(NamedTuple):
    """A check in a project's grid; `number` is the wheel's on the version's page."""

    number: int
    profile: str
    python: str
    ended: str


def _row(files: VersionFiles, pythons: Sequence[str], profiles: Sequence[str]) -> str:
    """Render a version's row: each profile for each Python.

    A rebuild sorts later and replaces its original.
    """
    values = {"version": files.version, "page": f"{quote_path(files.version)}.html"}
    found: dict[tuple[str, str], Cell] = {}
    for number, wheel in enumerate(files.wheels, 1):
        values[f"build{number}"] = wheel.logs.get("build", "")
        for python in pythons:
            values[f"check{number}-{python}"] = wheel.logs.get(log_title("check", python), "")
        for check in wheel.checks:
            found[check.python, check.profile] = Cell(number, check.profile, check.python, RESULTS[check.passed])
    cells = tuple([found.get((python, profile)) for python in pythons for profile in profiles])
    return fill_macro("wheel.html", "grid_row", Values(texts=values), files.yanked, cells)


def _version_page(project: Project, files: VersionFiles, site: Site) -> str:
    around = frame(site.settings.title, ROOT)
    sections = [wheel_section(number, wheel, project.name) for number, wheel in enumerate(files.wheels, 1)]
    values = {
        "name": project.name,
        "version": files.version,
        "command": f"pip install --index-url {site.settings.simple} {project.name}=={files.version}",
        "title": site.settings.title,
    }
    pieces = (around.start, around.links, around.tops["Packages"], around.bottom)
    return fill_macro("version.html", "page", Values(texts=values, safe={"sections": "".join(sections)}), *pieces)
