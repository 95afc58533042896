"""Declarations of recipe fields: their documentation and rules for their values.

A recipe's tables are dataclasses whose fields have `about(...)` as metadata and, where not every value will do, a type
`Annotated[..., rule]`. factory.recipes reads recipes by them, and generates the reference and the JSON schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version


def about(text: str, *, tables: tuple[str, ...] = (), key: str = "") -> Mapping[str, object]:
    """Return the metadata of a declared field.

    `key` is its key in TOML; by default its name, with hyphens. Classes that several tables are read into name in
    `tables` those that have the key; by default all have it.
    """
    return {"about": text, "tables": tables, "key": key}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule for a string.

    `refusal` is the error message, with the string as `{value}`; `pattern` is for the JSON schema.
    """

    refusal: str
    holds: Callable[[str], bool]
    pattern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The known names for a string or the strings of a list; without `names`, any.

    With `globs`, a list may hold globs of names. `if_empty` is the error message for an empty list.
    """

    names: tuple[str, ...] = ()
    if_empty: str = "must not be empty"
    globs: bool = False


@dataclass(frozen=True, slots=True)
class MayBeEmpty:
    """Permission for a string to be empty."""


@dataclass(frozen=True, slots=True)
class MemoryAmount:
    """An integer in bytes that recipes write as `"1.5 GB"` or `"800 MB"`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideRecipe:
    """A path relative to the recipe's folder, of a file or of a `folder`."""

    folder: bool = False


def matching(pattern: str, refusal: str) -> Rule:
    """Return the rule that a string matches a regular expression."""
    return Rule(refusal=refusal, holds=lambda value: re.fullmatch(pattern, value) is not None, pattern=f"^{pattern}$")


def is_inside(path: str) -> bool:
    """Report whether a relative path stays below its start."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def holds(value: str) -> bool:
        try:
            parse(value)
        except (InvalidVersion, InvalidRequirement):
            return False
        return True

    return holds


SHA256 = matching(r"[0-9a-f]{64}", "must be 64 lowercase hexadecimal digits")
VERSION = Rule(refusal="{value} is not a version as PEP 440 defines it", holds=_parses(Version))
REQUIREMENT = Rule(refusal="{value} is not a requirement as PEP 508 defines it", holds=_parses(Requirement))
VARIABLE = matching(r"[A-Za-z_][A-Za-z0-9_]*", "is not the name of an environment variable")
INSIDE_WHEEL = Rule(refusal="{value} must be a path inside the wheel", holds=is_inside)
INSIDE_SOURCE = Rule(refusal="{value} must be the path of a folder inside the source", holds=is_inside)
DURATION = matching(r"(?=.*[1-9])(\d+h)?(\d+m)?(\d+s)?", "{value} is not a duration, such as '5h30m', '90m' or '45s'")
# Debian Policy 5.6.1, with the `=version` that apt-get takes.
DEBIAN_PACKAGE = matching(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?", "{value} is not the name of a Debian package")
