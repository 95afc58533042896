"""Statements of a project's newest wheel: dependencies, links, and words to search for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import and_

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from factory.model.markers import marker_environment
from factory.model.target import PYTHONS
from factory.publish.release import URL
from factory.publish.reports import About

# Names to import, and other names, of projects of which no wheel may be at hand.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "beautifulsoup4": ("bs4",),
    "opencv-python": ("cv2", "opencv"),
    "opencv-python-headless": ("cv2", "opencv"),
    "pillow": ("pil",),
    "pyjwt": ("jwt",),
    "python-dateutil": ("dateutil",),
    "python-dotenv": ("dotenv",),
    "pyyaml": ("yaml",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "torch": ("pytorch",),
}


# A requirement, and the Pythons on which it holds.
Held = tuple[Requirement, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """All requirements of one project, joined.

    `project` is empty for text that is no requirement.
    """

    text: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Requirements on riscv64: those of every installation, and further ones by extra."""

    required: Sequence[Dependency]
    extras: Mapping[str, Sequence[Dependency]]


def dependencies_of(about: About) -> Dependencies:
    """Return the requirements on riscv64 with any of the Pythons, each project once."""
    always: list[Held] = []
    named: dict[str, list[Held]] = {}
    others = []
    for text in about.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            others.append(Dependency(text=text, project=""))
            continue
        if pythons := _pythons(requirement, ""):
            always.append((requirement, pythons))
            continue
        for extra in _extras(requirement):
            if pythons := _pythons(requirement, extra):
                named.setdefault(extra, []).append((requirement, pythons))
    extras = {extra: _joined(named[extra]) for extra in sorted(named)}
    return Dependencies(required=(*_joined(always), *others), extras=extras)


def required_projects(about: About) -> Mapping[str, Sequence[str]]:
    """Return the projects that every installation on riscv64 takes, by Python."""
    found = [_required_project(text) for text in about.requires]
    return {python: tuple(dict.fromkeys(name for name, pythons in found if python in pythons)) for python in PYTHONS}


@lru_cache(maxsize=65536)
def _required_project(text: str) -> tuple[str, Sequence[str]]:
    """Return a requirement's project, and the Pythons on which it holds without extras.

    An invalid one holds on none.
    """
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return "", ()
    return canonicalize_name(requirement.name), _pythons(requirement, "")


def _joined(found: Sequence[Held]) -> tuple[Dependency, ...]:
    """Return one dependency for each project: an installer obeys all of its requirements."""
    projects: dict[str, list[Held]] = {}
    for requirement, pythons in found:
        projects.setdefault(canonicalize_name(requirement.name), []).append((requirement, pythons))
    return tuple(Dependency(text=_text(same), project=project) for project, same in projects.items())


def _text(same: Sequence[Held]) -> str:
    """Return the requirements of one project, with the Pythons where these do not agree."""
    texts: dict[str, list[str]] = {}
    for python in PYTHONS:
        if held := [requirement for requirement, pythons in same if python in pythons]:
            texts.setdefault(_one(held), []).append(python)
    return ", ".join(
        text if len(those) == len(PYTHONS) else f"{text} (Python {' and '.join(those)})"
        for text, those in texts.items()
    )


def _one(same: Sequence[Requirement]) -> str:
    """Return requirements that hold together as one, without markers."""
    names = sorted({extra for each in same for extra in each.extras})
    url = next((each.url for each in same if each.url), "")
    where = f" @ {url}" if url else str(reduce(and_, (each.specifier for each in same)))
    bracketed = f"[{','.join(names)}]" if names else ""
    return f"{same[0].name}{bracketed}{where}"


def _pythons(requirement: Requirement, extra: str) -> Sequence[str]:
    """Return the Pythons on which a requirement holds."""
    marker = requirement.marker
    return [each for each in PYTHONS if marker is None or marker.evaluate({**marker_environment(each), "extra": extra})]


def _extras(requirement: Requirement) -> Iterable[str]:
    return dict.fromkeys(re.findall(r"""extra\s*==\s*["']([^"']+)["']""", str(requirement.marker)))


def links_of(about: About) -> Mapping[str, str]:
    """Return the addresses by label; a ledger may have been edited by hand."""
    return {label: url for label, url in about.links.items() if URL.fullmatch(url)}


def search_words(project: str, about: About | None) -> str:
    """Return further words by which the search finds a project.

    Its name and summary are not among them. They are in the search's form.
    """
    stated = () if about is None else (*about.modules, *about.keywords)
    all_words = (*ALIASES.get(project, ()), *stated)
    normalized = dict.fromkeys(re.sub(r"[-_.\s]+", "-", word.strip().lower()) for word in all_words)
    return " ".join(word for word in normalized if word != project)
