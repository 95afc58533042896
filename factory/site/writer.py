"""Writes every page from the ledger: several projects at once, and only those whose ledger or pages have changed.

What was written is remembered in a hidden file of the output, by the times of folders: every file of the ledger and of
the output appears by rename, which its folder's time shows. So a run in which one project changed looks at five folders
of each project, and reads that project alone.
"""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import factory
from factory.publish.ledger import Ledger
from factory.publish.reports import FAILURES, REPORTS
from factory.site.config import load_settings
from factory.site.coverage import load_coverage, needed_versions
from factory.site.pages import SITEMAP, Entry, Pages, Site, entry_of, pages_of_project, pages_of_the_whole
from factory.site.projects import load_project, project_names
from factory.util.atomic_files import changed_at, write_file, write_if_changed
from factory.util.jsonio import DAMAGED, decode, encode

STATE_FILE = ".pages.json"
AT_ONCE = 64  # projects that make processes of their own worth their start
PART = 2  # projects that a process takes at a time
UNSURE_SECONDS = 0.05  # a folder changed so recently may change again within the same tick of the file system's clock
UNSURE = -1

Stamp = tuple[int, ...]
# A project that was written: its name, its entry, and its pages that were new or differed, below the output.
Done = tuple[str, Entry, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A project as it was written last: the times of its folders in the ledger and in the output, and its entry."""

    ledger: Stamp
    output: Stamp
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the output holds: by which program, settings and coverage it was made, and each project."""

    made_by: str
    projects: Mapping[str, Written]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without looking for cycles of garbage: next to none are made here, and it would take a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_collection()
def write_site(ledger: Ledger, out: Path, *, force: bool = False) -> tuple[str, ...]:
    """Write the simple repository's pages and the site below `out`.

    Returns the names there of files that were new, differed or went, and of folders that went. Settings and coverage
    are read beside the ledger's folder. The same ledger gives the same bytes. `force` looks at every page, also where
    nothing seems to have changed.

    Raises:
        PublishError: a file of the ledger, the settings or the coverage is damaged.
    """
    site = load_site(ledger)
    made_by = _identity(site)
    before = {} if force else _read_state(out, made_by)
    names = project_names(ledger.folder)
    stamps = {name: ledger_stamp(ledger.folder, name) for name in names}
    stale = [name for name in names if not _is_current(name, stamps[name], before, out)]
    changed: list[str] = []
    entries = {name: before[name].entry for name in names if name in before}
    for name, entry, pages in _write_projects(stale, ledger, out, site):
        changed += pages
        entries[name] = entry
    changed += _remove(_projects_in(out) - set(names), out)
    whole = pages_of_the_whole([entries[name] for name in names], site)
    folders = sorted({name.rpartition("/")[0] for name in whole if "/" in name})
    there = {*_files_in(folders, out), *(name for name in _entries(out, folders=False) if _is_ours(name, whole))}
    changed += _write(whole.items(), there, out)
    written = {name: before[name] for name in set(names) - set(stale)}
    # Last of all: what was written just before is not sure to change its folder's time when it changes.
    for name in stale:
        written[name] = Written(ledger=stamps[name], output=output_stamp(out, name), entry=entries[name])
    _write_state(out, State(made_by=made_by, projects={name: written[name] for name in names}))
    return tuple(changed)


def site_pages(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Every page that the ledger gives, one after the other: its path below the output, and its text.

    Raises:
        PublishError: as `write_site`.
    """
    site = load_site(ledger)
    entries = []
    for name in project_names(ledger.folder):
        project = load_project(ledger, name)
        entries.append(entry_of(project, site))
        yield from pages_of_project(project, site)
    yield from pages_of_the_whole(entries, site).items()


def load_site(ledger: Ledger) -> Site:
    """What all pages have in common, from beside the ledger."""
    folder = ledger.folder.parent
    coverage = load_coverage(folder)
    return Site(settings=load_settings(folder), coverage=coverage, needed=needed_versions(coverage.stacks))


def encoded(text: str) -> bytes:
    """A page's bytes. Half of a surrogate pair, which JSON can hold and UTF-8 can't, becomes a question mark."""
    return text.encode("utf-8", "replace")


def _write_projects(names: Sequence[str], ledger: Ledger, out: Path, site: Site) -> Iterable[Done]:
    work = partial(write_project, ledger=ledger.folder, out=out, site=site)
    processes = len(os.sched_getaffinity(0))
    if len(names) < AT_ONCE or processes == 1:
        return map(work, names)
    return _at_once(work, sorted(names, key=lambda name: -_size(ledger.folder / name)), processes)


def _at_once(work: Callable[[str], Done], names: Sequence[str], processes: int) -> Iterator[Done]:
    """In this process, from the last name on, and in others, which begin with the first.

    The others start anew, since a copy of a process with threads may hang.
    """
    context = multiprocessing.get_context("spawn")
    parts = [names[start : start + PART] for start in range(0, len(names), PART)]
    with ProcessPoolExecutor(processes - 1, mp_context=context, initializer=gc.disable) as pool:
        futures = [pool.submit(_each, work, part) for part in parts]
        try:
            while futures and futures[-1].cancel():
                futures.pop()
                yield from map(work, parts.pop())
            for future in futures:
                yield from future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _each(work: Callable[[str], Done], names: Sequence[str]) -> list[Done]:
    return [work(name) for name in names]


def write_project(name: str, *, ledger: Path, out: Path, site: Site) -> Done:
    """Write one project's pages; returns its name, its entry and the pages that were new or differed."""
    project = load_project(Ledger(ledger), name)
    there = set(_files_in((f"project/{name}", f"simple/{name}"), out))
    return name, entry_of(project, site), _write(pages_of_project(project, site), there, out)


def _write(pages: Iterable[tuple[str, str]], there: set[str], out: Path) -> list[str]:
    """Make these pages, and no others, what is there now; returns what was new, differed or went.

    What goes is of versions that are not listed any more, or was left by a run that was killed.
    """
    changed = []
    for name, text in pages:
        path, content = f"{out}/{name}", encoded(text)
        if name not in there:
            write_file(path, content)
            changed.append(name)
        elif write_if_changed(path, content):
            changed.append(name)
        there.discard(name)
    gone = sorted(there)
    for name in gone:
        (out / name).unlink()
    return changed + gone


def _files_in(folders: Iterable[str], out: Path) -> Iterator[str]:
    return (f"{folder}/{name}" for folder in folders for name in _entries(f"{out}/{folder}", folders=False))


def _is_ours(name: str, whole: Pages) -> bool:
    """Whether a file at the top is a page, or a map of the site. What else lies there may be somebody's own."""
    return name in whole or SITEMAP.fullmatch(name) is not None


def _projects_in(out: Path) -> set[str]:
    return {name for kind in ("project", "simple") for name in _entries(f"{out}/{kind}", folders=True)}


def _entries(folder: Path | str, *, folders: bool) -> list[str]:
    """The names of the folders in a folder, or of what else is there."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) is folders]
    except FileNotFoundError:
        return []


def _remove(names: Iterable[str], out: Path) -> list[str]:
    """The pages of projects of which nothing was ever published, and whose failed build is no longer one."""
    folders = [f"{kind}/{name}" for name in sorted(names) for kind in ("project", "simple")]
    for folder in folders:
        shutil.rmtree(out / folder, ignore_errors=True)
    return folders


def _size(folder: Path) -> int:
    """Of the folder itself: what grows with the files in it, roughly."""
    return folder.stat().st_size


def ledger_stamp(ledger: Path, name: str) -> Stamp:
    """When the project's folders in the ledger last changed."""
    folder = f"{ledger}/{name}"  # a Path costs more than looking at what it leads to
    return _stamp(folder, f"{folder}/{REPORTS}", f"{folder}/{FAILURES}")


def output_stamp(out: Path, name: str) -> Stamp:
    """When the project's folders in the output last changed."""
    return _stamp(f"{out}/project/{name}", f"{out}/simple/{name}")


def _stamp(*folders: str) -> Stamp:
    return tuple(map(_changed, folders))


def _changed(folder: str) -> int:
    changed = changed_at(folder)
    return changed if changed < time.time_ns() - UNSURE_SECONDS * 1e9 else UNSURE


def _is_current(name: str, stamp: Stamp, before: Mapping[str, Written], out: Path) -> bool:
    written = before.get(name)
    if written is None or UNSURE in stamp:
        return False
    return (written.ledger, written.output) == (stamp, output_stamp(out, name))


def _identity(site: Site) -> str:
    """What pages depend on besides the ledger: this program's own files, settings and coverage."""
    digest = hashlib.sha256(repr(site).encode("utf-8", "replace"))
    # All of them: what goes into a page comes from many modules, and reading them takes milliseconds.
    for folder, folders, files in os.walk(Path(factory.__file__).parent):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            digest.update(f"{name}\0".encode())
            digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()


def _read_state(out: Path, made_by: str) -> Mapping[str, Written]:
    """The projects as they were written last; none, where that isn't known or something else made them."""
    try:
        state = decode((out / STATE_FILE).read_bytes(), State)
    except (OSError, *DAMAGED):
        return {}
    return state.projects if state.made_by == made_by else {}


def _write_state(out: Path, state: State) -> None:
    write_if_changed(out / STATE_FILE, encode(state))
