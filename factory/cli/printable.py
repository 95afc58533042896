"""Printable text: build output without secrets and without commands to its reader."""

from __future__ import annotations

import os
import re

from factory.publish.safe_text import sanitize
from factory.util.redaction import redact

# Escape sequences for colours; commands of GitHub's runner at the start of a line, and its older ones.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RUNNER_LINE = re.compile(r"^(\s*)::", re.MULTILINE)
RUNNER_COMMAND = re.compile(r"##\[")


def printable(text: str) -> str:
    """Return build output without known secrets and commands to a terminal or GitHub's runner.

    A terminal obeys control characters. The runner obeys lines that begin with `::`, also after spaces, and `##[`
    anywhere in a line.
    """
    shown = sanitize(COLOUR.sub("", redact(text)))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        shown = RUNNER_COMMAND.sub(lambda match: f"{match[0][0]} {match[0][1:]}", RUNNER_LINE.sub(r"\1> ::", shown))
    return shown
