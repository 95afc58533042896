"""Changes between the recorded parts of two content keys, the most useful first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from factory.pipeline.content_key import HASHED

Parts = Mapping[str, str]
VERSION, SOURCE, PATCH, ENVIRONMENT = "recipe version", "source", "patch", "environment"
_UNSET = "not set"


def differing(then: Parts, now: Parts) -> list[str]:
    """Return the names of the parts that differ."""
    return [name for name in dict.fromkeys((*now, *then)) if then.get(name) != now.get(name)]


def describe(then: Parts, now: Parts, known: Mapping[str, str]) -> list[str]:
    """Describe the parts that differ.

    `known` has better descriptions of some kinds of parts: what a record has of its patches and environment.
    """
    names = differing(then, now)
    if VERSION in names:  # and with it, the source
        names = [name for name in names if name != SOURCE and not name.startswith("recipe source.")]
    by_kind: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for name in names:
        by_kind.setdefault(name if name == VERSION else name.split(" ")[0], []).append(name)
    return [line for kind, found in by_kind.items() if found for line in _lines(kind, found, then, now, known)]


def _lines(kind: str, names: Sequence[str], then: Parts, now: Parts, known: Mapping[str, str]) -> Collection[str]:
    if kind in known:
        return [known[kind]]
    shown = _KINDS.get(kind, _changed)  # a newer factory may have recorded other kinds
    return dict.fromkeys(shown(name.partition(" ")[2], then.get(name), now.get(name)) for name in names)


def _changed(subject: str, then: str | None, now: str | None) -> str:
    """Describe a change; texts that are recorded only as their hash are not shown."""
    if any(text is not None and text.startswith(HASHED) for text in (then, now)):
        state = "is new" if then is None else "was removed" if now is None else "has changed"
        return f"{subject} {state}"
    return f"{subject} was {_UNSET if then is None else then}, is {_UNSET if now is None else now}"


def _program(name: str, then: str | None, now: str | None) -> str:
    old, new = ((text or "").rpartition(" ")[2] or None for text in (then, now))
    return _changed(name, old, new)


Describe = Callable[[str, str | None, str | None], str]
# Kinds of parts, the most useful first: the package's own files, what it builds upon, the factory.
_KINDS: Mapping[str, Describe] = {
    VERSION: lambda _, then, now: _changed("the version", then, now).replace('"', ""),
    "recipe": lambda key, then, now: _changed(f"{key.replace('_', '-')} in recipe.toml", then, now),
    SOURCE: lambda *_: "its source has changed",
    PATCH: lambda name, then, now: _changed(f"its patch {name}", then, now),
    "check": lambda name, then, now: _changed(f"its check's {name}", then, now),
    "model": lambda *_: "the model of its check has changed",
    "wheel": lambda name, *_: f"{name} was built again",
    ENVIRONMENT: lambda *_: "the environment has changed",
    "toolchain": lambda _, then, now: _changed("the toolchain", then, now),
    "target": lambda *_: "the target of wheels has changed",
    "CPU": lambda *_: "the emulated CPU of a profile has changed",
    "program": _program,
    "build": lambda _, then, now: f"the factory's build logic has changed: version {then} was used, now {now}",
}
