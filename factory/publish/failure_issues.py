"""Issues of failing recipes: one for each, updated by every run and closed by a build."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from factory.errors import PublishError
from factory.host.github import GitHub
from factory.model.record import BuildFailure
from factory.publish.safe_text import sanitize

LABEL = "build-failure"
# First line of an issue of ours; GitHub does not show it.
MARK = re.compile(r"\A<!-- recipe ([a-z0-9-]+) -->")
# GitHub takes 65,536 characters of text.
MESSAGE_CHARACTERS = 12_000


def update_issues(
    failures: Sequence[BuildFailure], built: Collection[str], github: GitHub, report: Callable[[str], None]
) -> tuple[PublishError, ...]:
    """Open or update an issue for each failing recipe.

    Those of recipes that were `built` are closed.

    A request that fails holds back no other recipe; its error is returned.
    """
    by_recipe = {name: list(each) for name, each in groupby(sorted(failures, key=_key), lambda each: each.name)}
    known = {match[1]: issue for issue in github.issues(LABEL) if (match := MARK.match(issue.get("body") or ""))}
    refused = []
    for name in sorted(by_recipe.keys() | known.keys()):
        try:
            if line := _update(name, by_recipe.get(name, []), known.get(name), name in built, github):
                report(line)
        except PublishError as error:
            refused.append(error)
    return tuple(refused)


def _key(failure: BuildFailure) -> tuple[str, str]:
    return failure.name, failure.python


def _update(
    name: str, failures: Sequence[BuildFailure], issue: Mapping[str, Any] | None, built: bool, github: GitHub
) -> str:
    """Update a recipe's issue, and say what was done."""
    if not failures:
        if issue is None or not built:
            return ""
        github.update_issue(issue["number"], state="closed")
        return f"{name}: builds again, closed issue {issue['number']}"
    title, text = f"{name} fails to build", issue_text(name, failures)
    if issue is None:
        return f"{name}: opened issue {github.create_issue(title, text, LABEL)['number']}"
    if issue["body"] == text:
        return ""
    github.update_issue(issue["number"], body=text)
    return f"{name}: updated issue {issue['number']}"


def issue_text(name: str, failures: Iterable[BuildFailure]) -> str:
    """Return an issue's text: each failure with the end of its log and its hint."""
    parts = [f"<!-- recipe {name} -->\nThe last build failed. A run that builds it closes this issue."]
    for failure in failures:
        version, python, stage = map(_word, (failure.version, failure.python, failure.stage))
        first, last = map(_word, (failure.first, failure.finished))
        parts += [
            f"### {version}, Python {python}, stage {stage}",
            f"Since {first}, last on {last}:",
            fenced(failure.message),
            f"On your machine: `factory build {name} --python {python}`",
        ]
    return "\n\n".join(parts) + "\n"


def _word(text: str) -> str:
    """Return a version or a time without what Markdown could take for more.

    Builds hand on their results as files, which others may have written.
    """
    return re.sub(r"[^A-Za-z0-9.+!:-]", "", text)[:40] or "unknown"


def fenced(text: str) -> str:
    """Return text as a block of code, which it can't end.

    GitHub makes no links and notifies nobody there.
    """
    shown = sanitize(text)
    shown = shown if len(shown) <= MESSAGE_CHARACTERS else f"...\n{shown[-MESSAGE_CHARACTERS:]}"
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown)), 3)
    return f"{fence}text\n{shown}\n{fence}"
