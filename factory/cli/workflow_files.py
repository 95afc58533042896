"""Files that GitHub's runner reads after a step.

They are outputs for other jobs, and the run's summary.

Without the runner the values are printed only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

OUTPUT, SUMMARY = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"
_NAME = re.compile(r"[a-z][a-z-]*")


def set_output(name: str, value: str) -> None:
    """Set an output of this step.

    A line break would set further outputs, so there is none in a value.
    """
    if not _NAME.fullmatch(name) or len(value.splitlines()) > 1:
        raise ValueError(f"not an output of one line: {name}={value!r}")
    _append(OUTPUT, f"{name}={value}\n")


def add_summary(markdown: str) -> None:
    """Add Markdown to the summary of this run."""
    _append(SUMMARY, f"{markdown}\n")


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
