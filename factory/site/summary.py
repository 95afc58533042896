"""Summary of a project for the pages that list all projects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_version

from factory.model.target import PYTHONS
from factory.publish.build_facts import BuildFact, fact_of
from factory.site.project_facts import search_words
from factory.site.projects import FailedBuild, Project, VersionNews, newest_state
from factory.site.states import State
from factory.site.wheels import profiles_of

COMPARED = 4  # versions of one project whose sizes and times are compared
RECENT = 10  # versions of one project that the page of builds and the feed of all projects may list


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A project on the pages that list all projects.

    `states` has a state for each Python, `profiles` those that the current version passed on, `wheels` is the number of
    listed files, `needed` has the states of the requested versions, `also` words by which the search finds it, and
    `facts` those of the builds of its last versions.
    """

    name: str
    summary: str
    version: str
    published: bool
    built: bool
    wheels: int
    states: Mapping[str, State]
    profiles: tuple[str, ...]
    recent: tuple[VersionNews, ...]
    failures: tuple[FailedBuild, ...]
    needed: Mapping[str, Mapping[str, State]]
    also: str = ""
    facts: tuple[BuildFact, ...] = ()


def summarize(project: Project, versions: Iterable[str] = ()) -> Summary:
    """Summarize a project, with the states of the given versions."""
    current = project.current
    wheels = () if current is None else current.wheels
    return Summary(
        name=project.name,
        summary=project.summary,
        version="" if current is None else current.version,
        published=bool(project.releases),
        built=any(wheel.built for wheel in wheels),
        wheels=sum(len(each.wheels) for each in project.versions),
        states=project.states,
        profiles=profiles_of(wheels),
        recent=_recent(project),
        failures=project.failed_builds,
        needed={version: _states_of_version(project, version) for version in versions},
        facts=tuple(_facts(project)),
        also=search_words(project.name, project.report.about or None if project.report else None),
    )


def _recent(project: Project) -> tuple[VersionNews, ...]:
    dated = [each.news for each in project.versions if each.news.time]
    return tuple(sorted(dated, key=lambda each: each.time, reverse=True)[:RECENT])


def _facts(project: Project) -> Iterator[BuildFact]:
    for wheel in (wheel for each in project.versions[:COMPARED] for wheel in each.wheels):
        if wheel.build is not None:
            yield fact_of(wheel.release.filename, wheel.release.size, wheel.build)


def _states_of_version(project: Project, version: str) -> Mapping[str, State]:
    """Return the states of a version by Python.

    As for installers, `1.0` is `1.0.0`, and `1.0+cpu` satisfies it.
    """
    wanted = canonicalize_version(version)
    files = [each for each in project.versions if wanted in _equal_names(each.version)]
    return {python: newest_state(files, (), python) for python in PYTHONS}


def _equal_names(version: str) -> tuple[str, str]:
    return canonicalize_version(version), canonicalize_version(version.partition("+")[0])
