"""Statements of a project's newest wheel: dependencies, links, and words to search for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A requirement without its marker; `project` is empty for text that is no requirement."""

    text: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Requirements on riscv64: those of every installation, and further ones by extra."""

    required: Sequence[Dependency]
    extras: Mapping[str, Sequence[Dependency]]


def dependencies_of(about: About) -> Dependencies:
    """Return the requirements that hold on riscv64 with any of the Pythons."""
    required: dict[Dependency, None] = {}
    extras: dict[str, dict[Dependency, None]] = {}
    for text in about.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            required[Dependency(text=text, project="")] = None
            continue
        dependency = _dependency(requirement)
        if _applies(requirement, ""):
            required[dependency] = None
        else:
            for extra in _extras(requirement):
                extras.setdefault(extra, {})[dependency] = None
    return Dependencies(required=tuple(required), extras={extra: tuple(extras[extra]) for extra in sorted(extras)})


def _dependency(requirement: Requirement) -> Dependency:
    names = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    where = f" @ {requirement.url}" if requirement.url else str(requirement.specifier)
    return Dependency(text=f"{requirement.name}{names}{where}", project=canonicalize_name(requirement.name))


def _applies(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**marker_environment(each), "extra": extra}) for each in PYTHONS)


def _extras(requirement: Requirement) -> Iterator[str]:
    named = re.findall(r"""extra\s*==\s*["']([^"']+)["']""", str(requirement.marker))
    yield from (extra for extra in dict.fromkeys(named) if _applies(requirement, extra))


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
