"""Proposal of a recipe: its values, and the texts of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.errors import RecipeChange
from factory.recipes.loader import DEFAULT_SCRIPT, RECIPE_FILE
from factory.recipes.proposal.excerpts import Excerpt
from factory.util.atomic_files import write_file

SETTING = "build.environment."


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A recipe for an sdist: what the source does not tell, and a check from its tests.

    The first of `excerpts` is used, without the tests in `dropped`.
    """

    name: str
    version: str
    sha256: str
    modules: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    rust: bool = False
    excerpts: tuple[Excerpt, ...] = ()
    dropped: frozenset[str] = frozenset()

    @property
    def tests(self) -> Mapping[str, str]:
        """Tests of the check by their names, with the functions that run them."""
        calls = self.excerpts[0].calls if self.excerpts else {}
        return {name: call for name, call in calls.items() if name not in self.dropped}

    def with_good_tests(self, good: Sequence[Collection[str]]) -> Proposal:
        """Take the excerpt with the most good tests, and no others of it.

        `good` has them for each excerpt.
        """
        found = max(zip(self.excerpts, good, strict=True), key=lambda each: len(each[1]), default=None)
        if found is None or not found[1]:
            return replace(self, excerpts=())
        excerpt, names = found
        return replace(self, excerpts=(excerpt,), dropped=frozenset(excerpt.calls) - frozenset(names))

    def with_change(self, change: RecipeChange) -> Proposal:
        """Return the proposal with a change.

        It is the same one if it has the change already, or none of its keys is meant.
        """
        value = change.value.format(version=self.version)
        if change.key.startswith(SETTING):
            name = change.key.removeprefix(SETTING)
            return self if name in self.environment else replace(self, environment={**self.environment, name: value})
        if change.key == "build.apt" and value and value not in self.apt:
            return replace(self, apt=tuple(sorted({*self.apt, value})))
        if change.key == "build.requires" and value not in self.requires:
            return replace(self, requires=(*self.requires, value))
        return replace(self, rust=True) if change.key == "build.rust" and not self.rust else self

    def write(self, folder: Path) -> None:
        """Write the recipe's files."""
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / RECIPE_FILE, self.recipe_text().encode())
        write_file(folder / DEFAULT_SCRIPT, self.script_text().encode())

    def recipe_text(self) -> str:
        """Return the text of recipe.toml."""
        build = {
            "rust": "true" if self.rust else "",
            "requires": _list(self.requires),
            "apt": _list(self.apt),
            "environment": _table(self.environment),
        }
        lines = [f"{key} = {value}\n" for key, value in build.items() if value]
        table = "".join(["\n[build]\n", *lines]) if lines else ""
        package = (
            f"[package]\nname = {_quoted(self.name)}\nversion = {_quoted(self.version)}\nshadows-upstream = true\n"
        )
        return f'{package}\n[source]\nkind = "pypi"\nsha256 = "{self.sha256}"\n{table}'

    def survey_text(self) -> str:
        """Return the text of a script that reports which tests of all excerpts are good."""
        excerpts = [(each.code, dict(each.calls)) for each in self.excerpts]
        return f"from compiled_calls import survey\n\nsurvey({self.name!r}, {self.modules!r}, {excerpts!r})\n"

    def script_text(self) -> str:
        """Return the text of smoke.py, which fails where no test is known that it could run."""
        if not self.tests:
            compiled = f" Compiled modules: {', '.join(self.extensions[:8])}." if self.extensions else ""
            return _EMPTY.format(name=self.name, module=self.modules[0], compiled=compiled)
        excerpt = self.excerpts[0]
        return _TESTS.format(
            name=self.name,
            file=re.sub(r"[^\w./+ -]", "?", excerpt.file, flags=re.ASCII),  # of the source, whose names may be anything
            code=excerpt.code,
            tests="".join(f"        {_quoted(name)}: {call},\n" for name, call in self.tests.items()),
        )


_TESTS = '''\
"""Tests or examples of {name}'s own, from {file}, each of which must call compiled code.

Proposed by `factory new`; better add what the package is used for.
"""

{code}


if __name__ == "__main__":
    from compiled_calls import run_tests

    tests = {{
{tests}    }}
    run_tests("{name}", tests)
'''
_EMPTY = '''\
"""No check yet: `factory new` found no test of {name}'s own that runs alone and calls compiled code.

Call compiled functions and assert their results, as docs/add-a-recipe.md says.{compiled}
"""

import {module}

raise SystemExit("smoke.py of {name} calls no compiled code yet: call it, and assert the results")
'''


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, values))}]" if values else ""


def _table(values: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{name} = {_quoted(value)}' for name, value in values.items())} }}" if values else ""
