"""Globs of names, such as `rvv*` for ISA profiles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase


def is_glob(name: str) -> bool:
    """Report whether a name has wildcards."""
    return any(character in name for character in "*?[")


def expand_globs(names: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Replace globs by the known names that match; return names and unmatched globs."""
    expanded: dict[str, None] = {}
    unmatched: list[str] = []
    for name in names:
        matched = [each for each in known if fnmatchcase(each, name)] if is_glob(name) else [name]
        expanded |= dict.fromkeys(matched)
        unmatched += [] if matched else [name]
    return tuple(expanded), tuple(unmatched)


def resolve_by_globs(values: dict[str, object], names: Collection[str]) -> dict[str, object]:
    """Return the value of each name: its own, else that of the first matching glob.

    Without globs the values are returned as they are; with them, in the order of `names`. Globs that match none of the
    names are kept.
    """
    if not any(map(is_glob, values)):
        return values
    resolved: dict[str, object] = {key: value for key, value in values.items() if not is_glob(key)}
    for glob in filter(is_glob, values):
        if not any(fnmatchcase(name, glob) for name in names):
            resolved[glob] = values[glob]
        resolved |= {name: values[glob] for name in names if name not in resolved and fnmatchcase(name, glob)}
    ordered = {name: resolved[name] for name in names if name in resolved}
    return ordered | resolved
