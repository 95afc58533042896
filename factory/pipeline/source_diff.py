"""Differences between a source as its build gets it and as a person changed it in a shell."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.errors import PatchError
from factory.model.source import Overlay
from factory.pipeline.incremental import LOOKED_INTO
from factory.pipeline.job import PreparedJob
from factory.pipeline.run import Run
from factory.stages.sources import patches
from factory.stages.sources.fetch import fetch
from factory.stages.sources.prepare import prepare
from factory.stages.sources.source_files import source_files
from factory.util.atomic_files import write_file
from factory.util.log import LogSink
from factory.util.process import run as run_program
from factory.util.scratch import own_folder
from factory.util.untrusted import UnsafeOutput, UntrustedFolder

SOURCE = "src"
# Of a patch's file name without its number, and of the lines of its header.
NAME_LENGTH, WIDTH = 60, 110
# GNU diff ends with 1 where files differ.
_DIFF = 'diff --unified --new-file --label "$1" --label "$2" "$3" "$4"; test $? -le 1'


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDiff:
    """A unified diff of the changed files.

    `left_out` maps others to the reason why they are not in it.
    """

    text: str
    left_out: dict[str, str]


def diff_source(prepared: PreparedJob, run: Run, log: LogSink, *, new: Sequence[str] = ()) -> SourceDiff:
    """Compare the source in a job's folder with the patched one of its recipe.

    Files count that changed since a shell was opened there. Those that the source does not have are left out, since a
    build in the shell makes many, unless `new` names them.

    Raises:
        PatchError: no shell has changed the source.
    """
    label, source = prepared.job.label, prepared.job.recipe.source
    mark, tree = prepared.folder / LOOKED_INTO, prepared.work / SOURCE
    if not tree.is_dir() or not mark.exists():
        raise PatchError(
            f"{label}: no change: no shell has changed its source",
            hint=f"edit /build/src in: factory shell {prepared.job.recipe.name}",
        )
    with own_folder(run.layout.scratch, "diff", prepared.job.recipe.name, keep=False) as scratch:
        pristine = fetch(source, run.layout.downloads, scratch / "pristine", log)
        prepare(source, prepared.patches, pristine, log)
        laid = frozenset(_laid_files(source.overlay))
        comparison = _Comparison(
            old=pristine.path, new=tree, since=mark.stat().st_ctime_ns, laid=laid, scratch=scratch, wanted=new
        )
        return comparison.diff()


def _laid_files(overlay: Overlay | None) -> Iterator[str]:
    for folder in overlay.folders if overlay else ():
        yield from (file.relative_to(folder).as_posix() for file in source_files(folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """A comparison of two trees; a build could write the `new` one."""

    old: Path
    new: Path
    since: int
    laid: frozenset[str]
    scratch: Path
    wanted: Sequence[str]

    def diff(self) -> SourceDiff:
        texts, left_out = [], {}
        for path in self._changed():
            reason, old, new = self._reason(path), b"", b""
            if not reason:
                try:
                    old, new = self._contents(path)
                    reason = "" if _is_text(old) and _is_text(new) else "not UTF-8 text"
                except UnsafeOutput as error:
                    reason = error.message
            if reason:
                left_out[path] = reason
            else:
                texts.append(self._diff_of(path, old, new))
        return SourceDiff(text="".join(texts), left_out=left_out)

    def _changed(self) -> list[str]:
        """Return the files that changed since the shell was opened, and those that are gone."""
        old, new = set(_files(self.old)), set(_files(self.new))
        changed = {path for path in new if os.lstat(self.new / path).st_ctime_ns > self.since}
        missing = set(self.wanted) - new
        if missing:
            raise PatchError(f"{min(missing)}: no such file in the source", hint="name it as below /build/src")
        return sorted(changed | (old - new))

    def _reason(self, path: str) -> str:
        """Return why a changed file is left out, empty if it is not."""
        if path in self.laid:
            return "the recipe's overlay has it: edit it there"
        if not (self.old / path).is_file() and path not in self.wanted:
            return "new: name it with --new if it belongs to the patch"
        if (self.old / path).is_symlink():
            return "a link in the source"
        return ""

    def _contents(self, path: str) -> tuple[bytes, bytes]:
        old, new = self.old / path, self.new / path
        return (
            old.read_bytes() if old.is_file() else b"",
            UntrustedFolder(self.new).read(path) if os.path.lexists(new) else b"",
        )

    def _diff_of(self, path: str, old: bytes, new: bytes) -> str:
        labels = [f"a/{path}" if (self.old / path).is_file() else "/dev/null"]
        labels.append(f"b/{path}" if os.path.lexists(self.new / path) else "/dev/null")
        files = [self.scratch / "a", self.scratch / "b"]
        for file, content in zip(files, (old, new), strict=True):
            file.write_bytes(content)
        return run_program(["sh", "-c", _DIFF, "diff", *labels, *map(str, files)])


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name).relative_to(root).as_posix() for name in names)


def write_patch(diff: str, subject: str, description: str, prepared: PreparedJob, run: Run, log: LogSink) -> Path:
    """Write a diff with a header as the last patch of a job's source, and apply it to that.

    Raises:
        PatchError: it does not apply; it is not written then.
    """
    source = prepared.job.recipe.source
    folder = patches.folder_of(run.recipes.patches, source)
    number = max((int(path.name[:4]) for path in prepared.patches), default=0) + 1
    words = re.findall(r"[a-z0-9]+", subject.lower()) or ["patch"]
    name = f"{number:04}-{'-'.join(words)[:NAME_LENGTH].rstrip('-')}.patch"
    header = _field("Subject", subject) + _field("Description", description) + _field("Upstream-Status", "Pending")
    with own_folder(run.layout.scratch, "diff", prepared.job.recipe.name, keep=False) as scratch:
        tree = fetch(source, run.layout.downloads, scratch / "source", log)
        trial = scratch / source.project / source.version / name
        trial.parent.mkdir(parents=True)
        trial.write_text(f"{header}---\n{diff}", encoding="utf-8")
        patches.apply([*prepared.patches, trial], tree, log)
        write_file(folder / name, trial.read_bytes())
    return folder / name


def _field(name: str, text: str) -> str:
    """Return a field of a header, with its further lines indented."""
    return (
        textwrap.fill(f"{name}: {' '.join(text.split())}", WIDTH, subsequent_indent=" ", break_long_words=False) + "\n"
    )
