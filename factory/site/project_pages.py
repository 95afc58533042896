"""Pages of one project: simple, project and version pages, JSON and feed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import markupsafe

from factory.publish.simple_api import project_pages, quote_path
from factory.site.feeds import project_feed
from factory.site.inputs import Site
from factory.site.json_api import project_json
from factory.site.macro_cache import Values, fill_macro
from factory.site.project_facts import dependencies_of, links_of
from factory.site.projects import Project, VersionFiles, failure_log_name
from factory.site.templating import frame, render
from factory.site.wheel_section import RESULTS, wheel_facts, wheel_section
from factory.site.wheels import Wheel, sort_profiles, text_name

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
    for sha256, text in project.texts.items():
        yield f"{folder}/{text_name(sha256)}", text
    for name, text in project.failure_logs.items():
        yield f"{folder}/{failure_log_name(name)}", text
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
    report = project.report
    values = {
        "project": project,
        "current": current,
        "wheel": wheel,
        "about": report,
        "dependencies": dependencies_of(report.about) if report and report.about else None,
        "links": links_of(report.about) if report and report.about else {},
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
    values = {"version": files.version, "page": f"{quote_path(files.version)}.html", "reason": files.yank_reason}
    found: dict[tuple[str, str], Cell] = {}
    for number, wheel in enumerate(files.wheels, 1):
        for check in wheel.checks:
            found[check.python, check.profile] = Cell(number, check.profile, check.python, RESULTS[check.passed])
    cells = tuple([found.get((python, profile)) for python in pythons for profile in profiles])
    logs = _logs(files.wheels)
    content = Values(texts=values, lists={"logs": list(logs.values())})
    return fill_macro("wheel.html", "grid_row", content, files.yanked, cells, tuple(logs))


def _logs(wheels: Sequence[Wheel]) -> Mapping[str, str]:
    """Return the addresses of a version's logs by title.

    The title has the wheel's Pythons if several wheels have a log of this kind.
    """
    titles = Counter(title for wheel in wheels for title in wheel.logs)
    return {
        title if titles[title] == 1 else f"{title} for {wheel.pythons}": address
        for wheel in wheels
        for title, address in wheel.logs.items()
    }


def _version_page(project: Project, files: VersionFiles, site: Site) -> str:
    around = frame(site.settings, ROOT)
    sections = [wheel_section(number, wheel, project.name) for number, wheel in enumerate(files.wheels, 1)]
    values = {
        "name": project.name,
        "version": files.version,
        "command": f"pip install {site.settings.pip_options} {shlex.quote(f'{project.name}=={files.version}')}",
        "title": site.settings.title,
    }
    pieces = (around.start, around.links, around.tops["Packages"], around.bottom)
    return fill_macro("version.html", "page", Values(texts=values, safe={"sections": "".join(sections)}), *pieces)
