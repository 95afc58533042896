"""Pages about all projects, feed, sitemap and static files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import markupsafe

from factory.model.target import PROFILES, Target
from factory.publish.build_facts import counted, growths, slowest
from factory.publish.simple_api import root_pages
from factory.site.boards import BOARDS, SCRIPT, browser_rules
from factory.site.config import Settings
from factory.site.coverage_table import KINDS, SOLVED, WORDS, StackTable, absent_projects, compare_stacks, missing_rows
from factory.site.feeds import newest_versions, site_feed
from factory.site.inputs import Site
from factory.site.language_models import BITS, MEMORIES, largest_model
from factory.site.project_pages import upstream_since
from factory.site.projects import Project, VersionNews
from factory.site.sitemaps import project_addresses, sitemaps
from factory.site.summary import Summary, lacking_dependencies, summarize
from factory.site.templating import macros, render

NEWEST = 100  # versions on the page of builds
SLOWEST = 20  # lines of its other tables
STATIC = Path(__file__).parent / "static"

Pages = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A project on the overview pages: its summary and its rendered lines.

    `package` is its line on the front page, `passed` on the pages of profiles, `addresses` in the sitemap. Another
    project therefore costs its own lines only, however many projects there are.
    """

    summary: Summary
    package: str
    passed: str
    addresses: str


def make_entry(project: Project, site: Site) -> Entry:
    """Summarize a project and render its lines."""
    summary = summarize(project, site.needed.get(project.name, ()))
    lines = macros("lines.html")
    return Entry(
        summary=summary,
        package=str(lines.package(summary, upstream_since(project, site))),
        passed=str(lines.passed(summary)) if summary.profiles else "",
        addresses=project_addresses(project, site.settings) if site.settings.url and project.versions else "",
    )


def render_overview(entries: Sequence[Entry], site: Site) -> Pages:
    """Render the overview pages as text by their paths below the output folder."""
    summaries = [entry.summary for entry in entries]
    published = [summary for summary in summaries if summary.wheels]
    recent = [(summary.name, each) for summary in published for each in summary.recent if each.built]
    simple = root_pages([summary.name for summary in summaries if summary.published])
    by_name = {summary.name: summary for summary in summaries}
    stacks = compare_stacks(site.coverage.stacks, by_name)
    packages = _join(_package_lines(entries, site))
    absent = absent_projects(stacks, by_name)
    return {
        **{f"simple/{name}": page for name, page in simple.items()},
        "index.html": _render("front.html", site, 0, published=published, lines=packages, absent=absent),
        "builds/index.html": _builds_page(summaries, recent, site),
        "boards/index.html": _boards_page(published, site),
        **{f"boards/{name}.html": _profile_page(name, entries, site) for name in PROFILES},
        "coverage/index.html": _coverage_page(stacks, by_name, site),
        "404.html": _missing_page(site),
        "feed.xml": site_feed(recent, site),
        **(sitemaps((entry.addresses for entry in entries), site.settings) if site.settings.url else {}),
        **{f"static/{path.name}": path.read_text(encoding="utf-8") for path in sorted(STATIC.iterdir())},
        "static/board.py": SCRIPT.read_text(encoding="utf-8").replace(Settings().simple, site.settings.simple),
    }


def _package_lines(entries: Sequence[Entry], site: Site) -> Iterator[str]:
    """Yield the lines of the front page; those of projects that lack a dependency say so."""
    lines, lacking = macros("lines.html"), lacking_dependencies(entry.summary for entry in entries)
    for entry in entries:
        lacks, name = lacking.get(entry.summary.name), entry.summary.name
        since = site.coverage.riscv64_since.get(name, {})
        yield str(lines.package(entry.summary, since, lacks)) if lacks else entry.package


def _render(template: str, site: Site, depth: int, **values: object) -> str:
    """Render a page `depth` folders below the site's top folder."""
    return render(template, "../" * depth, site.settings, values)


def _join(lines: Iterable[str]) -> markupsafe.Markup:
    return markupsafe.Markup("".join(lines))


def _missing_page(site: Site) -> str:
    """Render the page for unknown addresses.

    It is shown at any address, so its links cannot be relative.
    """
    return render("missing.html", f"{site.settings.url}/", site.settings, {})


def _counts(summaries: Sequence[Summary]) -> Mapping[str, int]:
    return {name: sum(name in summary.profiles for summary in summaries) for name in PROFILES}


def _boards_page(summaries: Sequence[Summary], site: Site) -> str:
    models = {"largest_model": largest_model, "memories": MEMORIES, "model_bits": BITS}
    values = {"boards": BOARDS, "rules": browser_rules(), "counts": _counts(summaries), **models}
    glibc = ".".join(map(str, Target().glibc_floor))
    return _render("boards.html", site, 1, glibc=glibc, **values)


def _profile_page(profile: str, entries: Sequence[Entry], site: Site) -> str:
    passed = [entry.passed for entry in entries if profile in entry.summary.profiles]
    values = {"boards": [board for board in BOARDS if board.profile == profile], "lines": _join(passed)}
    return _render("profile.html", site, 1, profile=PROFILES[profile], passed=len(passed), **values)


def _builds_page(summaries: Sequence[Summary], recent: Sequence[tuple[str, VersionNews]], site: Site) -> str:
    newest = newest_versions(recent, NEWEST)
    failures = sorted(
        (failed for summary in summaries for failed in summary.failures),
        key=lambda each: (each.failure.name, each.failure.python),
    )
    facts = [fact for summary in summaries for fact in summary.facts]
    values = {
        "slowest": slowest(facts, SLOWEST),
        "counted": counted(facts)[:SLOWEST],
        "growths": [each for each in growths(facts) if each.change][:SLOWEST],
    }
    return _render("builds.html", site, 1, newest=newest, failures=failures, limit=NEWEST, **values)


def _coverage_page(stacks: Sequence[StackTable], known: Mapping[str, Summary], site: Site) -> str:
    values = {"coverage": site.coverage, "stacks": stacks, "known": known, "missing": missing_rows(stacks)}
    return _render("coverage.html", site, 1, WORDS=WORDS, KINDS=KINDS, SOLVED=SOLVED, **values)
