"""The pages of one project, and the pages of the whole, as text by their paths below the output folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import markupsafe

from factory.model.target import PROFILES, Target
from factory.publish.simple_api import path_quoted, project_pages, root_pages
from factory.site.boards import BOARDS, SCRIPT, browser_rules
from factory.site.config import Settings
from factory.site.coverage import KINDS, SOLVED, WORDS, Coverage, Covered, absent, covered
from factory.site.json_api import project_json
from factory.site.projects import Project, Recent, Summary, VersionFiles, log_title, ordered_profiles, summarize
from factory.site.templating import Values, filled, frame, macros, render
from factory.site.wheel_section import ENDINGS, facts_of, section_of

GRID_VERSIONS = 8  # a project's newest versions that its grid shows; all are on pages of their own
NEWEST = 100  # versions in the list of builds, and half as many in the feed of the whole
NEWEST_OF_ONE = 20  # versions in a project's own feed
ADDRESSES = 50_000  # that a file of a site's map may hold, says the protocol
SITEMAP = re.compile(r"sitemap(-[0-9]+)?\.xml")
SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"
STATIC = Path(__file__).parent / "static"
ROOT = "../" * 2  # from the folder of a project's pages

Pages = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all pages have in common; `needed` are the versions that the coverage's stacks need, by project."""

    settings: Settings
    coverage: Coverage
    needed: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A project on the pages of the whole: what they need to know of it, and its lines there, rendered already.

    `package` is on the front page, `passed` on the pages of profiles, `addresses` in the map of the site, one a line.
    So one project more costs its own lines only, however many there are.
    """

    summary: Summary
    package: str
    passed: str
    addresses: str


def _render(template: str, site: Site, depth: int, **values: object) -> str:
    """A template's text; `depth` is how many folders below the site's root the page lies."""
    return render(template, "../" * depth, site.settings, values)


def pages_of_project(project: Project, site: Site) -> Iterator[tuple[str, str]]:
    """Everything that is written of one project, for installers and for people: one page after the other.

    All of them together are more than a processor's caches hold.
    """
    folder = f"project/{project.name}"
    if project.releases:
        for name, page in project_pages(project.name, project.releases).items():
            yield f"simple/{project.name}/{name}", page
    yield f"{folder}/index.html", _project_page(project, site)
    yield f"{folder}/index.json", project_json(project, _since(project, site))
    yield f"{folder}/feed.xml", _project_feed(project, site)
    for each in project.versions:
        yield f"{folder}/{each.version}.html", _version_page(project, each, site)


def _project_page(project: Project, site: Site) -> str:
    shown = project.versions[:GRID_VERSIONS]
    pythons, profiles = _axes(shown)
    current = project.current
    told = next((wheel for wheel in current.wheels if wheel.build is not None), None) if current else None
    return _render(
        "project.html",
        site,
        2,
        project=project,
        current=current,
        told=told,
        facts=facts_of(told) if told else None,
        states=project.states,
        pythons=pythons,
        profiles=profiles,
        rows=_lines(_row(each, pythons, profiles) for each in shown),
        older=project.versions[GRID_VERSIONS:],
        since=_since(project, site),
    )


def _since(project: Project, site: Site) -> Mapping[str, str]:
    """The version from which on its own project has wheels for riscv64, for each Python where that is known."""
    return site.coverage.riscv64_since.get(project.name, {})


def _axes(versions: Sequence[VersionFiles]) -> tuple[Sequence[str], Sequence[str]]:
    """The Pythons and the profiles of which there is a check."""
    checks = [check for each in versions for wheel in each.wheels for check in wheel.checks]
    return sorted({check.python for check in checks}), ordered_profiles(check.profile for check in checks)


class Cell(NamedTuple):
    """A check in a project's grid: of the version's wheel of that number."""

    number: int
    profile: str
    python: str
    ended: str


def _row(files: VersionFiles, pythons: Sequence[str], profiles: Sequence[str]) -> str:
    """A version's row: for each Python each profile. A rebuild, which sorts later, stands for what it replaces."""
    values = {"version": files.version, "page": f"{path_quoted(files.version)}.html"}
    found: dict[tuple[str, str], Cell] = {}
    for number, wheel in enumerate(files.wheels, 1):
        values[f"build{number}"] = wheel.logs.get("build", "")
        for python in pythons:
            values[f"check{number}-{python}"] = wheel.logs.get(log_title("check", python), "")
        for check in wheel.checks:
            found[check.python, check.profile] = Cell(number, check.profile, check.python, ENDINGS[check.passed])
    cells = tuple([found.get((python, profile)) for python in pythons for profile in profiles])
    return filled("wheel.html", "grid_row", Values(texts=values), files.yanked, cells)


def _version_page(project: Project, files: VersionFiles, site: Site) -> str:
    around = frame(site.settings.title, ROOT)
    sections = [section_of(number, wheel, project.name) for number, wheel in enumerate(files.wheels, 1)]
    values = {
        "name": project.name,
        "version": files.version,
        "command": f"pip install --index-url {site.settings.simple} {project.name}=={files.version}",
        "title": site.settings.title,
    }
    pieces = (around.start, around.links, around.tops["Packages"], around.bottom)
    return filled("version.html", "page", Values(texts=values, safe={"sections": "".join(sections)}), *pieces)


def _project_feed(project: Project, site: Site) -> str:
    newest = [each.news for each in project.versions[:NEWEST_OF_ONE]]
    return _feed([(project.name, each) for each in newest if each.time], site, 2, name=project.name)


def _feed(entries: Sequence[tuple[str, Recent]], site: Site, depth: int, *, name: str) -> str:
    newest = _newest(entries, NEWEST // 2)
    top = f"{site.settings.url}/" if site.settings.url else "../" * depth
    lines = _lines(_news_line(project, each, site.settings, top) for project, each in newest)
    return _render("feed.xml", site, depth, name=name, updated=newest[0][1].time if newest else "", lines=lines)


def _news_line(project: str, news: Recent, settings: Settings, top: str) -> str:
    values = {
        "project": project,
        "version": news.version,
        "id": settings.urn_of(f"release/{project}/{news.version}"),
        "time": news.time,
        "link": f"{top}{_version_path(project, news.version)}",
    }
    return filled("lines.html", "news", Values(texts=values), news.wheels, news.pythons, news.profiles)


def _newest(entries: Sequence[tuple[str, Recent]], count: int) -> list[tuple[str, Recent]]:
    """The last ones first. There are many, so that those too old are left out before the rest is sorted."""
    since = sorted((each.time for _, each in entries), reverse=True)[:count][-1:]
    late = [entry for entry in entries if entry[1].time >= since[0]]
    return sorted(late, key=lambda entry: (entry[1].time, entry[0], entry[1].version), reverse=True)[:count]


def _version_path(project: str, version: str) -> str:
    return f"project/{path_quoted(project)}/{path_quoted(version)}.html"


def entry_of(project: Project, site: Site) -> Entry:
    """What the pages of the whole have of a project."""
    summary = summarize(project, site.needed.get(project.name, ()))
    lines = macros("lines.html")
    return Entry(
        summary=summary,
        package=str(lines.package(summary, _since(project, site))),
        passed=str(lines.passed(summary)) if summary.profiles else "",
        addresses=_addresses(project, site) if site.settings.url and project.versions else "",
    )


def _addresses(project: Project, site: Site) -> str:
    folder = f"{site.settings.url}/project/{path_quoted(project.name)}"
    names = ("index", *(path_quoted(each.version) for each in project.versions))
    return "".join(_address(f"{folder}/{name}.html") for name in names)


def pages_of_the_whole(entries: Sequence[Entry], site: Site) -> Pages:
    """What is written of all projects together."""
    summaries = [entry.summary for entry in entries]
    published = [summary for summary in summaries if summary.wheels]
    recent = [(summary.name, each) for summary in published for each in summary.recent if each.built]
    simple = root_pages([summary.name for summary in summaries if summary.published])
    packages = _lines(each.package for each in entries)
    by_name = {summary.name: summary for summary in summaries}
    stacks = covered(site.coverage.stacks, by_name)
    elsewhere = absent(stacks, by_name)
    return {
        **{f"simple/{name}": page for name, page in simple.items()},
        "index.html": _render("front.html", site, 0, published=published, lines=packages, elsewhere=elsewhere),
        "builds/index.html": _builds_page(summaries, recent, site),
        "boards/index.html": _boards_page(published, site),
        **{f"boards/{name}.html": _profile_page(name, entries, site) for name in PROFILES},
        "coverage/index.html": _coverage_page(stacks, by_name, site),
        "404.html": _missing_page(site),
        "feed.xml": _feed(recent, site, 0, name=""),
        **(_sitemaps(entries, site) if site.settings.url else {}),
        **{f"static/{path.name}": path.read_text(encoding="utf-8") for path in sorted(STATIC.iterdir())},
        "static/board.py": SCRIPT.read_text(encoding="utf-8").replace(Settings().simple, site.settings.simple),
    }


def _lines(lines: Iterable[str]) -> markupsafe.Markup:
    """What was rendered already, for a template to take as it is."""
    return markupsafe.Markup("".join(lines))


def _sitemaps(entries: Sequence[Entry], site: Site) -> Pages:
    """The map of the site: one file, or several and one that names them where a file may not hold all addresses."""
    own = ["", *(f"{folder}/index.html" for folder in ("boards", "coverage", "builds"))]
    own += [f"boards/{name}.html" for name in PROFILES]
    lines = [_address(f"{site.settings.url}/{page}") for page in own]
    for entry in entries:
        lines += entry.addresses.splitlines(keepends=True)
    maps = [lines[start : start + ADDRESSES] for start in range(0, len(lines), ADDRESSES)]
    if len(maps) == 1:
        return {"sitemap.xml": _sitemap("urlset", lines)}
    names = [f"sitemap-{number}.xml" for number in range(1, len(maps) + 1)]
    index = [_address(f"{site.settings.url}/{name}", "sitemap") for name in names]
    named = {name: _sitemap("urlset", part) for name, part in zip(names, maps, strict=True)}
    return {**named, "sitemap.xml": _sitemap("sitemapindex", index)}


def _sitemap(kind: str, lines: Sequence[str]) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{kind} xmlns="{SITEMAPS}">\n{"".join(lines)}</{kind}>\n'


def _address(address: str, kind: str = "url") -> str:
    return f"<{kind}><loc>{markupsafe.escape(address)}</loc></{kind}>\n"


def _missing_page(site: Site) -> str:
    """It is shown at any address, so that its links can't be relative."""
    return render("missing.html", f"{site.settings.url}/", site.settings, {})


def _counts(summaries: Sequence[Summary]) -> Mapping[str, int]:
    return {name: sum(name in summary.profiles for summary in summaries) for name in PROFILES}


def _boards_page(summaries: Sequence[Summary], site: Site) -> str:
    values = {"boards": BOARDS, "rules": browser_rules(), "counts": _counts(summaries)}
    glibc = ".".join(map(str, Target().glibc_floor))
    return _render("boards.html", site, 1, glibc=glibc, **values)


def _profile_page(profile: str, entries: Sequence[Entry], site: Site) -> str:
    passed = [entry.passed for entry in entries if profile in entry.summary.profiles]
    values = {"boards": [board for board in BOARDS if board.profile == profile], "lines": _lines(passed)}
    return _render("profile.html", site, 1, profile=PROFILES[profile], passed=len(passed), **values)


def _builds_page(summaries: Sequence[Summary], recent: Sequence[tuple[str, Recent]], site: Site) -> str:
    newest = _newest(recent, NEWEST)
    failures = sorted(
        (failure for summary in summaries for failure in summary.failures), key=lambda each: (each.name, each.python)
    )
    return _render("builds.html", site, 1, newest=newest, failures=failures)


def _coverage_page(stacks: Sequence[Covered], known: Mapping[str, Summary], site: Site) -> str:
    values = {"coverage": site.coverage, "stacks": stacks, "known": known}
    return _render("coverage.html", site, 1, WORDS=WORDS, KINDS=KINDS, SOLVED=SOLVED, **values)
