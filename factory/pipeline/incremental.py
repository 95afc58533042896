"""Incremental builds: trees that an interrupted build can resume from.

A killed compiler leaves half a file, which make and setuptools take for a finished one. Ninja and cargo don't: they log
what they finished. The trees that they drive are kept, and everything else is built again, with the compiler cache.
Files that the configuration of such a tree wrote elsewhere are kept too, also over files of the source: configuration
had ended before ninja started, and nothing writes them again. So are files that ninja's log names: a rule may leave one
to another rule, as in PyTorch's code generation, and then nothing makes it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TypeVar

from factory.model.protocols import SOURCE
from factory.util.scratch import discard
from factory.util.untrusted import UnsafeOutput, UntrustedFolder, is_beneath

NINJA_LOG = ".ninja_log"
NOTES = (NINJA_LOG, ".rustc_info.json")
# Last file that CMake and Meson write.
CONFIGURED = "build.ninja"
# Build folders of setuptools, which goes by file times alone. PyTorch runs ninja in the folder around them.
SETUPTOOLS_FOLDERS = ("lib.*", "temp.*", "bdist.*")
# Marker in a job's folder while a shell is open in it; it stays if the shell changed something.
LOOKED_INTO = "looked-into"


T = TypeVar("T")


def renew(tree: Path, folder: Path, make: Callable[[Path], T]) -> T:
    """Replace a source tree by the one that `make(path)` writes.

    Files that an interrupted build can resume from are kept. New and old trees are in `folder`, which a build cannot
    write, unlike the tree's own folder. Safe to kill at any moment: the next call resumes.
    """
    partial, new = (folder / f"{tree.name}.{state}" for state in ("partial", "new"))
    _replace_tree(new, tree)
    discard(partial)
    made = make(partial)
    partial.rename(new)
    _replace_tree(new, tree)
    return made


def _replace_tree(new: Path, tree: Path) -> None:
    """Put a new copy, if any, in place of a source tree, with the files to keep."""
    old = new.with_name(f"{tree.name}.old")
    if new.is_dir():
        tree.parent.mkdir(parents=True, exist_ok=True)
        if tree.is_dir() and not tree.is_symlink():
            # A build can leave trees that are too deep to walk through; it then starts from the beginning.
            with suppress(OSError, RecursionError):
                keep_noted_trees(tree, new)
            discard(old)
            tree.rename(old)
        discard(tree)
        new.rename(tree)
    discard(old)


def keep_noted_trees(old: Path, new: Path) -> None:
    """Move the trees that ninja and cargo drive from a source tree to its new copy.

    Files that the new copy lacks, or has with another time, are moved too if they are older than the configuration of a
    tree or if ninja finished them.
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
        if not os.path.lexists(destination) and is_beneath(destination.parent, new):
            destination.parent.mkdir(parents=True, exist_ok=True)
            tree.rename(destination)


def _move_older(old: Path, new: Path, than: int, except_for: Sequence[Path]) -> None:
    """Move files that differ from `new` and changed at `than`, in nanoseconds, or before."""
    for name, folders, files in os.walk(old):
        folders[:] = [folder for folder in folders if Path(name, folder) not in except_for]
        for path in (Path(name, file) for file in files):
            if path.lstat().st_mtime_ns <= than:
                _move(path, old, new)


def _move_finished(old: Path, new: Path, tree: Path) -> None:
    """Move files outside of the tree that its ninja has logged and `new` lacks."""
    for path in map(Path, _finished(old, tree)):
        if path.is_relative_to(old) and not path.is_relative_to(tree) and path.is_file():
            _move(path, old, new)


def _move(path: Path, old: Path, new: Path) -> None:
    """Move a file to the same place in `new`, unless that has a file of the same time.

    Copies keep a source's times; patches change them. A path that leads out of one of the trees by a link of the
    build's is left alone.
    """
    destination = new / path.relative_to(old)
    if not is_beneath(path.parent, old) or not is_beneath(destination.parent, new):
        return
    if not os.path.lexists(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    elif destination.is_dir() or destination.lstat().st_mtime_ns == path.lstat().st_mtime_ns:
        return
    path.rename(destination)


def _finished(old: Path, tree: Path) -> Iterator[str]:
    """Files in ninja's log.

    Its lines are `start, end, time, output, hash`, separated by tabs, with outputs as the rules name them.
    """
    try:
        log = UntrustedFolder(old).read((tree / NINJA_LOG).relative_to(old).as_posix())
    except (FileNotFoundError, UnsafeOutput):
        return
    for line in log.decode(errors="replace").splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            named = PurePosixPath(fields[3])
            inside = old / named.relative_to(SOURCE) if named.is_relative_to(SOURCE) else tree / named
            yield os.path.normpath(inside)


def discard_unless_noted(tree: Path) -> None:
    """Remove a build tree that neither ninja nor cargo drives."""
    if not _is_noted(tree):
        discard(tree)


def begin_look(job: Path, work: Path) -> None:
    """Mark the job's folder before a person opens its `work` folder."""
    work.mkdir(parents=True, exist_ok=True)
    note = job / LOOKED_INTO
    if not note.exists():
        note.touch()


def ends_untouched(job: Path, work: Path) -> bool:
    """Report whether `work` is unchanged since a shell was opened in it; clear the mark if so."""
    note = job / LOOKED_INTO
    if note.exists() and _changed_after(work, note.stat().st_ctime_ns):
        return False
    note.unlink(missing_ok=True)
    return True


def _changed_after(root: Path, moment: int) -> bool:
    """Report whether contents, names or permissions changed after `moment` (ns)."""
    return any(
        os.lstat(os.path.join(name, each)).st_ctime_ns > moment  # noqa: PTH118 - there may be very many
        for name, folders, files in os.walk(root)
        for each in ("", *folders, *files)
    )


def _noted_trees(root: Path) -> Iterator[Path]:
    """Topmost folders with a log of ninja or cargo."""
    for name, folders, _ in os.walk(root):
        if _is_noted(Path(name)):
            folders.clear()
            yield Path(name)


def _is_noted(folder: Path) -> bool:
    return any((folder / note).is_file() for note in NOTES)
