"""Build requirements that a recipe replaces."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def replace_requirements(requirements: Iterable[str], replacements: Iterable[str]) -> tuple[str, ...]:
    """Replace the requirements on projects that `replacements` name by these.

    A replacement without a marker of its own gets that of the requirement.
    """
    new = [Requirement(text) for text in replacements]
    found = (each for text in requirements for each in _replaced(text, new))
    return tuple(dict.fromkeys(found))


def unused_replacements(requirements: Iterable[str], replacements: Iterable[str]) -> list[str]:
    """Return the replacements of projects that no requirement names."""
    named = {canonicalize_name(each.name) for text in requirements if (each := _parse(text)) is not None}
    return [text for text in replacements if canonicalize_name(Requirement(text).name) not in named]


def _replaced(text: str, new: Iterable[Requirement]) -> list[str]:
    old = _parse(text)
    if old is None:  # the builder reports it
        return [text]
    found = [each for each in new if canonicalize_name(each.name) == canonicalize_name(old.name)]
    return [_with_marker(each, old) for each in found] or [text]


def _with_marker(new: Requirement, old: Requirement) -> str:
    return str(new) if new.marker is not None or old.marker is None else f"{new}; {old.marker}"


def _parse(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None
