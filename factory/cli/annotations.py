"""Annotations on GitHub: errors shown at their line of a file, and above the log."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from factory.cli.printable import printable
from factory.util.paths import shown_path

# A line of an error that names its place.
PLACE = re.compile(r"(?P<file>[^:\s][^:]*):(?P<line>[0-9]+): (?P<message>.+)")
# GitHub shows ten of a step.
SHOWN = 10


def annotate(message: str) -> None:
    """Annotate an error, if GitHub's runner reads the output.

    Its lines that name a file and its line are shown, else its first line.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    lines = message.splitlines()
    places = [place for place in map(PLACE.fullmatch, lines) if place is not None]
    for command in [_at(place) for place in places[:SHOWN]] or [f"::error::{_data(lines[0] if lines else '')}"]:
        print(command, file=sys.stderr)


def _at(place: re.Match[str]) -> str:
    file = _property(str(shown_path(Path(place["file"]))))
    return f"::error file={file},line={place['line']}::{_data(place['message'])}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
