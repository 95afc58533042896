"""What a build that was cut may go on with.

A compiler that was killed leaves half a file, and make and setuptools take a file that is there for a finished one.
Ninja and cargo don't: they note what they finished. So the trees that they drive are kept, and everything else that
the build made is made again; the compiler cache has what its compilers finished. What the configuration of a tree wrote
elsewhere is kept too, also over files that came with the source: it had ended when ninja began, and nobody writes it
again. So is what ninja's own log names: it would not be made again where its rule left it to another one, as PyTorch's
rules for code generation do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from factory.model.protocols import SOURCE
from factory.util.scratch import discard

NINJA_LOG = ".ninja_log"
NOTES = (NINJA_LOG, ".rustc_info.json")
# The last file that CMake and Meson write.
CONFIGURED = "build.ninja"
# Where setuptools builds, by the files' times alone. Some projects (PyTorch's) run ninja in the folder around these.
SETUPTOOLS_FOLDERS = ("lib.*", "temp.*", "bdist.*")
# In a job's folder while a shell is open in it, and afterwards where that changed something.
LOOKED_INTO = "looked-into"


T = TypeVar("T")


def renew(tree: Path, make: Callable[[Path], T]) -> T:
    """Replace a source tree by what `make(folder)` makes; what a build that was cut in it may go on with is kept.

    Killed at any moment, it loses nothing of that: the next call goes on where the last one was.
    """
    partial, new = (tree.with_name(f"{tree.name}.{state}") for state in ("partial", "new"))
    _take_the_place(new, tree)
    discard(partial)
    made = make(partial)
    partial.rename(new)
    _take_the_place(new, tree)
    return made


def _take_the_place(new: Path, tree: Path) -> None:
    """Put a new copy, if there is one, in the place of a source tree, with what is kept of that."""
    old = tree.with_name(f"{tree.name}.old")
    if new.is_dir():
        keep_noted_trees(tree, new)
        discard(old)
        if tree.is_dir():
            tree.rename(old)
        new.rename(tree)
    discard(old)


def keep_noted_trees(old: Path, new: Path) -> None:
    """Move the trees that ninja and cargo drive from a source tree in which a build was cut to a new copy of it.

    Files of the old source tree that the new copy lacks, or has from another time, come along where they are older than
    a tree's configuration, or ninja finished them.
    """
    trees = list(_noted_trees(old))
    configured = [(tree / CONFIGURED).stat().st_mtime_ns for tree in trees if (tree / CONFIGURED).is_file()]
    if configured:
        _move_older(old, new, max(configured), trees)
    for tree in trees:
        _move_finished(old, new, tree)
        for pattern in SETUPTOOLS_FOLDERS:
            for folder in tree.glob(pattern):
                discard(folder)
        destination = new / tree.relative_to(old)
        if not destination.exists():
            destination.parent.mkdir(parents=True, exist_ok=True)
            tree.rename(destination)


def _move_older(old: Path, new: Path, than: int, except_for: Sequence[Path]) -> None:
    """Move files that `new` has not as they are, and that last changed at `than`, in nanoseconds, or before."""
    for name, folders, files in os.walk(old):
        folders[:] = [folder for folder in folders if Path(name, folder) not in except_for]
        for path in (Path(name, file) for file in files):
            if path.lstat().st_mtime_ns <= than:
                _move(path, new / path.relative_to(old))


def _move_finished(old: Path, new: Path, tree: Path) -> None:
    """Move files that `new` has not as they are, outside of the tree, and that the tree's ninja has noted."""
    for path in map(Path, _finished(old, tree)):
        if path.is_relative_to(old) and not path.is_relative_to(tree) and path.is_file():
            _move(path, new / path.relative_to(old))


def _move(path: Path, destination: Path) -> None:
    """Move a file, unless one of the same time is there: copies of a source have its times, and patches their own."""
    if not os.path.lexists(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    elif destination.is_dir() or destination.lstat().st_mtime_ns == path.lstat().st_mtime_ns:
        return
    path.rename(destination)


def _finished(old: Path, tree: Path) -> Iterator[str]:
    """The files that ninja notes: `start, end, time, output, hash` in a line, and outputs as its rules name them."""
    log = tree / NINJA_LOG
    if not log.is_file():
        return
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            named = PurePosixPath(fields[3])
            inside = old / named.relative_to(SOURCE) if named.is_relative_to(SOURCE) else tree / named
            yield os.path.normpath(inside)


def discard_unless_noted(tree: Path) -> None:
    """Remove a build tree in which neither ninja nor cargo was at work."""
    if not _is_noted(tree):
        discard(tree)


def begin_look(job: Path, work: Path) -> None:
    """Note that a person is about to get into `work`, which is in the job's folder."""
    work.mkdir(parents=True, exist_ok=True)
    note = job / LOOKED_INTO
    if not note.exists():
        note.touch()


def ends_untouched(job: Path, work: Path) -> bool:
    """Whether nothing in `work` has changed since a look at it began, if one did; then that is forgotten."""
    note = job / LOOKED_INTO
    if note.exists() and _changed_after(work, note.stat().st_ctime_ns):
        return False
    note.unlink(missing_ok=True)
    return True


def _changed_after(root: Path, moment: int) -> bool:
    """Whether a file or folder has changed since then, in nanoseconds; its contents, its name or its permissions."""
    return any(
        os.lstat(os.path.join(name, each)).st_ctime_ns > moment  # noqa: PTH118 - there may be very many
        for name, folders, files in os.walk(root)
        for each in ("", *folders, *files)
    )


def _noted_trees(root: Path) -> Iterator[Path]:
    """The topmost folders with notes."""
    for name, folders, _ in os.walk(root):
        if _is_noted(Path(name)):
            folders.clear()
            yield Path(name)


def _is_noted(folder: Path) -> bool:
    return any((folder / note).is_file() for note in NOTES)
