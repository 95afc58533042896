"""Patches: their names, headers and diffs, and whether a recipe uses them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from factory.errors import PatchError
from factory.model.recipe import Recipe
from factory.model.source import Source
from factory.pipeline import own_qemu
from factory.pipeline.lint.finding import Finding, line_of
from factory.stages.sources import patches

# Words of OpenEmbedded; those of the second line are nothing without a reference or a reason.
_STATUS = re.compile(
    r"(Pending|Denied)\b.*|(Submitted|Accepted|Backport|Inappropriate|Inactive-Upstream)\b\W*\w.*", re.DOTALL
)
STATUSES = (
    "must be Pending or Denied, or Submitted, Accepted, Backport, Inappropriate or Inactive-Upstream with its "
    "reference or reason"
)
# A description with fewer tells no reason.
LEAST_WORDS = 5


def check_patches(root: Path, sources: Iterable[Source]) -> Iterator[Finding]:
    """Iterate over the mistakes in the patches of sources."""
    for folder in sorted({patches.folder_of(root, source) for source in sources}):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        yield from _check_names(files)
        for file in files:
            if file.is_file():
                yield from _check_patch(file)


def unused_patches(root: Path, recipes: Collection[Recipe]) -> Iterator[Finding]:
    """Iterate over the files below `root` that are for no recipe and no QEMU."""
    used = {patches.folder_of(root, source) for source in (*(recipe.source for recipe in recipes), own_qemu.SOURCE)}
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        if file.parent not in used:
            yield Finding(file=file, line=1, key="patch", message="no recipe has a source of this project and version")


def _check_names(files: Iterable[Path]) -> Iterator[Finding]:
    numbers: dict[str, Path] = {}
    for file in files:
        match = patches.FILE_NAME.fullmatch(file.name)
        if match is None or not file.is_file():
            yield Finding(file=file, line=1, key="patch", message="is not a file NNNN-what-it-does.patch")
        elif (other := numbers.setdefault(match["number"], file)) != file:
            yield Finding(file=file, line=1, key="patch", message=f"has the number of {other.name}")


def _check_patch(file: Path) -> Iterator[Finding]:
    try:
        header = patches.read_header(file)
        patches.require_inside(file)
    except PatchError as error:
        yield Finding(file=file, line=1, key="header", message=error.message.removeprefix(f"{file}: "))
        return
    text = file.read_text(encoding="utf-8")
    if not _STATUS.fullmatch(header.upstream_status):
        yield _at(file, text, "Upstream-Status", STATUSES)
    if len(header.description.split()) < LEAST_WORDS or header.description == header.subject:
        yield _at(file, text, "Description", "gives no reason: say what is wrong and why the patch is right")
    if not any(patches.touched(file)):
        yield Finding(file=file, line=line_of(text, "---"), key="diff", message="changes no file")


def _at(file: Path, text: str, key: str, message: str) -> Finding:
    return Finding(file=file, line=line_of(text, f"{key}:"), key=key, message=message)
