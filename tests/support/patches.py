"""Files that our patches add to a source."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

PATCHES = Path(__file__).parent.parent.parent / "patches"


def prepare_sources(work: Path, program: Path, patch: str, name: str) -> None:
    """Make the folder `work` with a test's program and the file `name` that a patch adds."""
    work.mkdir()
    shutil.copy(program, work)
    (work / name).write_text(added_file(patch, name), encoding="utf-8")


def added_file(patch: str, name: str) -> str:
    """Return the text of the file `name` that the patch `patch` below patches/ adds."""
    text = (PATCHES / patch).read_text(encoding="utf-8")
    found = re.search(rf"^\+\+\+ b/\S*/{re.escape(name)}\n@@ -0,0 \+1,(\d+) @@\n((?:\+.*\n)+)", text, re.MULTILINE)
    assert found, f"{patch} adds no {name}"
    lines = [line[1:] for line in found[2].splitlines(keepends=True)]
    assert len(lines) == int(found[1])
    return "".join(lines)
