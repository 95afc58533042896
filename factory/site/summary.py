"""Summary of a project for the pages that list all projects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.utils import canonicalize_version

from factory.model.target import PYTHONS
from factory.publish.build_facts import BuildFact, fact_of
from factory.site.project_facts import required_projects, search_words
from factory.site.projects import FailedBuild, Project, VersionNews, newest_state
from factory.site.states import FAILED, MISSING, State
from factory.site.wheels import profiles_of

COMPARED = 4  # versions of one project whose sizes and times are compared
NONE = (FAILED, MISSING)  # states without a file
RECENT = 10  # versions of one project that the page of builds and the feed of all projects may list


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A project on the pages that list all projects.

    `states` has a state for each Python, `profiles` those that the current version passed on, `wheels` is the number of
    listed files, `needed` has the states of the requested versions, `also` words by which the search finds it,
    `facts` those of the builds of its last versions, and `requires` the projects that it requires, by Python.
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
    requires: Mapping[str, Sequence[str]] = field(default_factory=dict)


def summarize(project: Project, versions: Iterable[str] = ()) -> Summary:
    """Summarize a project, with the states of the given versions."""
    current = project.current
    about = (project.report.about or None) if project.report else None
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
        also=search_words(project.name, about),
        requires=required_projects(about) if about else {},
    )


def lacking_dependencies(summaries: Iterable[Summary]) -> Mapping[str, Mapping[str, str]]:
    """Return the projects that cannot be installed with some Pythons.

    Each has a dependency without a wheel, by Python. A file for any Python serves also those for which its dependencies
    have none.
    """
    known = {each.name: each for each in summaries}
    found: dict[str, dict[str, str]] = {}
    for python in PYTHONS:
        for name, dependency in _lacking(known, python).items():
            found.setdefault(name, {})[python] = dependency
    return found


def _lacking(known: Mapping[str, Summary], python: str) -> Mapping[str, str]:
    """Return the projects with a file for a Python that need one without, also indirectly."""
    users: dict[str, list[str]] = {}
    for each in known.values():
        # Requirements are known of the current version.
        served = each.states[python].kind not in NONE and each.states[python].version == each.version
        for name in each.requires.get(python, ()) if served else ():
            users.setdefault(name, []).append(each.name)
    lacking: dict[str, str] = {}
    waiting = [(name, name) for name in users if name not in known or known[name].states[python].kind in NONE]
    while waiting:
        cause, name = waiting.pop()
        for user in users.get(name, ()):
            if user not in lacking:
                lacking[user] = cause
                waiting.append((cause, user))
    return lacking


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
