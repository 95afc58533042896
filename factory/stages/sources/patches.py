"""Patches: selected by project and version, applied without fuzz.

Each has a header that states its status upstream.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from factory.errors import CommandFailed, PatchError
from factory.model.artifacts import AppliedPatch, SourceTree
from factory.model.source import Source
from factory.stages.sources.gnu_patch import run_patch
from factory.util.log import LogSink
from factory.util.quantities import quantity

REQUIRED_FIELDS = ("Subject", "Description", "Upstream-Status")
HUNK_LINES_SHOWN = 40

FILE_NAME = re.compile(r"(?P<number>\d{4})-[\w.+-]+\.patch")
_END_OF_HEADER = "---"
_FORM = "a header is 'Field: text' lines (further lines of a field are indented), then a line '---', then the diff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Header of a patch; `upstream_status` states whether and where upstream has it."""

    subject: str
    description: str
    upstream_status: str


def folder_of(patches_root: Path, source: Source) -> Path:
    """Return the folder of a source's patches, whether or not there is one."""
    return patches_root / canonicalize_name(source.project) / source.version


def select(patches_root: Path, source: Source) -> list[Path]:
    """Return the patches in `patches_root/<project>/<version>/`, by number.

    They belong to the source: all recipes that build from it share them. Patches of other versions are never used:
    whether they still hold is for a person to judge.

    Raises:
        PatchError: a file there is not called NNNN-what-it-does.patch, or two have the same number.
    """
    folder = folder_of(patches_root, source)
    patches = sorted(folder.iterdir()) if folder.is_dir() else []
    numbers: dict[str, Path] = {}
    for patch in patches:
        match = FILE_NAME.fullmatch(patch.name)
        if match is None:
            raise PatchError(f"{patch}: is not called NNNN-what-it-does.patch", hint="rename it, or move it elsewhere")
        other = numbers.setdefault(match["number"], patch)
        if other is not patch:
            raise PatchError(f"{patch}: has the number of {other.name}", hint="the number is the order: renumber one")
    return patches


def read_header(path: Path) -> Header:
    """Read the header of a patch, which ends at the line `---`.

    Raises:
        PatchError: naming the file and what its header lacks.
    """
    text, separator, _ = _read(path).partition(f"\n{_END_OF_HEADER}\n")
    if not separator:
        raise PatchError(f"{path}: has no line '---' between header and diff", hint=_FORM)
    message = HeaderParser().parsestr(text + "\n")
    if message.defects or message.get_payload():
        raise PatchError(f"{path}: its header is not made of 'Field: text' lines", hint=_FORM)
    fields = {name: " ".join(str(message.get(name, "")).split()) for name in REQUIRED_FIELDS}
    missing = [name for name, value in fields.items() if not value]
    if missing:
        raise PatchError(f"{path}: its header lacks {', '.join(missing)}", hint=_FORM)
    return Header(
        subject=fields["Subject"], description=fields["Description"], upstream_status=fields["Upstream-Status"]
    )


def apply(patches: Sequence[Path], tree: SourceTree, log: LogSink) -> tuple[AppliedPatch, ...]:
    """Apply the patches in order, without fuzz.

    Patched files get the source's date, so that builds stay reproducible.

    Raises:
        PatchError: a header is wrong, a path leaves the tree, or a hunk doesn't fit (with the hunk's text). The tree
            is then half patched: fetch it anew.
        PrerequisiteMissing: the program `patch` is not installed.
    """
    headers = [read_header(patch) for patch in patches]
    for patch in patches:
        require_inside(patch)
    return tuple(_apply_one(patch, header, tree, log) for patch, header in zip(patches, headers, strict=True))


def try_apply(patch: Path, tree: SourceTree, log: LogSink) -> str:
    """Apply a patch; returns why it does not apply, empty if it does.

    The tree stays as it is then.

    Raises:
        PatchError: its header is wrong, or a path leaves the tree.
        PrerequisiteMissing: the program `patch` is not installed.
    """
    read_header(patch)
    require_inside(patch)
    try:
        run_patch(patch, tree.path, "-", log, dry=True)
    except CommandFailed as error:
        if "previously applied" in error.output:
            return "the source has this change already"
        failed = [line for line in error.output.splitlines() if "FAILED" in line or "can't find file" in line]
        return "; ".join(failed) or "it does not apply"
    run_patch(patch, tree.path, "-", log)
    return ""


def _apply_one(patch: Path, header: Header, tree: SourceTree, log: LogSink) -> AppliedPatch:
    date = tree.path.stat().st_mtime
    log.write(f"patch {patch.name}: {header.subject}\n")
    _run_patch(patch, tree, log)
    for name in [*touched(patch), PurePosixPath(".")]:
        path = tree.path / name
        if path.exists():  # a patch may remove files
            os.utime(path, (date, date))
    sha256 = hashlib.sha256(patch.read_bytes()).hexdigest()
    return AppliedPatch(name=patch.name, sha256=sha256, upstream_status=header.upstream_status)


def _run_patch(patch: Path, tree: SourceTree, log: LogSink) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rejected = Path(folder, "rejected")
        try:
            run_patch(patch, tree.path, str(rejected), log)
        except CommandFailed as error:
            raise _does_not_apply(patch, error.output, _first_lines(rejected)) from error


def _does_not_apply(patch: Path, output: str, rejected: str) -> PatchError:
    package, version = patch.parent.parent.name, patch.parent.name
    hint = "the source has changed there: refresh the patch for this version, or delete it if upstream took it"
    if "previously applied" in output:
        hint = "the source has this change already: delete the patch"
    return PatchError(f"{package} {version}: {patch.name} does not apply\n{output}\n{rejected}".rstrip(), hint=hint)


def _first_lines(rejected: Path) -> str:
    if not rejected.is_file():
        return ""
    lines = rejected.read_text(encoding="utf-8", errors="replace").splitlines()
    more = [f"({quantity(len(lines) - HUNK_LINES_SHOWN, 'more line')})"] if len(lines) > HUNK_LINES_SHOWN else []
    return "\n".join(["rejected:", *lines[:HUNK_LINES_SHOWN], *more])


def require_inside(patch: Path) -> None:
    """Refuse paths that leave the source; GNU patch only skips such files.

    Raises:
        PatchError: naming the path.
    """
    for path in touched(patch):
        if path.is_absolute() or ".." in path.parts:
            raise PatchError(f"{patch}: changes {str(path)!r}, which leaves the source", hint="correct the path")


def touch_top_files(patches: Sequence[Path], names: Collection[str]) -> bool:
    """Report whether a patch changes one of these files of the source's top folder."""
    return any(str(path) in names for patch in patches for path in touched(patch))


def touched(patch: Path) -> Iterator[PurePosixPath]:
    """Return the files that the diff names, without their first part (`a/`, `b/`)."""
    lines = _read(patch).splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("--- ") and following.startswith("+++ "):
            yield from (_stripped(name) for name in (line[4:], following[4:]) if not name.startswith("/dev/null"))
        elif line.startswith(("rename from ", "rename to ", "copy from ", "copy to ")):
            yield PurePosixPath(line.split(" ", 2)[2])


def _stripped(name: str) -> PurePosixPath:
    """Return `b/src/x.c<tab>date` as `src/x.c`; absolute names stay, to be refused."""
    path = PurePosixPath(name.split("\t")[0].strip())
    return path if path.is_absolute() else PurePosixPath(*path.parts[1:])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PatchError(f"{path}: is not UTF-8 text (byte {error.start})", hint=_FORM) from error
