"""Incremental, parallel writer of the index's pages.

A hidden file of the output keeps the modification times of folders as they were after the last run. Every file of the
ledger and of the output appears by rename, which changes its folder's time. So a run after a change of one project
compares the times of seven folders for each project and reads the changed project only.
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
from factory.publish.failures import FAILURES
from factory.publish.ledger import Ledger
from factory.publish.lock_files import LOCKS
from factory.publish.output_folder import STATE_FILE
from factory.publish.reports import REPORTS
from factory.publish.source_texts import TEXTS
from factory.site.inputs import Site, load_site
from factory.site.overview_pages import Entry, Pages, make_entry, render_overview
from factory.site.project_pages import render_project
from factory.site.projects import load_project, project_names
from factory.site.sitemaps import SITEMAP
from factory.util.atomic_files import changed_at, write_file, write_if_changed
from factory.util.jsonio import DAMAGED, decode, encode

PARALLEL_FROM = 64  # projects; fewer are written faster without starting processes
CHUNK = 2  # projects that a process takes at a time
UNSURE_SECONDS = 0.05  # a folder changed so recently may change again within one tick of the file system's clock
UNSURE = -1

Stamp = tuple[int, ...]
# Name and entry of a written project, and its changed pages below the output.
Done = tuple[str, Entry, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Last state of a project: times of its folders, and its entry."""

    ledger: Stamp
    output: Stamp
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Content of the state file; `made_by` identifies program, settings and coverage."""

    made_by: str
    projects: Mapping[str, Written]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Switch off the collection of reference cycles.

    There are next to none, and looking for them costs a tenth of the time.
    """
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

    Returns the files that were added, changed or removed and the folders that were removed, below `out`. Settings and
    coverage are read beside the ledger's folder. The same ledger gives the same bytes. `force` compares the content of
    every page instead of the times of folders.

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
    overview = render_overview([entries[name] for name in names], site)
    folders = sorted({name.rpartition("/")[0] for name in overview if "/" in name})
    existing = {*_files_in(folders, out), *(name for name in _entries(out, folders=False) if _is_page(name, overview))}
    changed += _write(overview.items(), existing, out)
    written = {name: before[name] for name in set(names) - set(stale)}
    # Last of all: a change right after the writing may not change the folder's time.
    for name in stale:
        written[name] = Written(ledger=stamps[name], output=output_stamp(out, name), entry=entries[name])
    _write_state(out, State(made_by=made_by, projects={name: written[name] for name in names}))
    return tuple(changed)


def site_pages(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Render every page of the ledger as (path below the output, text).

    Raises:
        PublishError: as `write_site`.
    """
    site = load_site(ledger)
    entries = []
    for name in project_names(ledger.folder):
        project = load_project(ledger, name)
        entries.append(make_entry(project, site))
        yield from render_project(project, site)
    yield from render_overview(entries, site).items()


def encode_page(text: str) -> bytes:
    """Encode a page.

    A lone surrogate, which JSON can hold and UTF-8 cannot, becomes a question mark.
    """
    return text.encode("utf-8", "replace")


def _write_projects(names: Sequence[str], ledger: Ledger, out: Path, site: Site) -> Iterable[Done]:
    work = partial(write_project, ledger=ledger.folder, out=out, site=site)
    processes = len(os.sched_getaffinity(0))
    if len(names) < PARALLEL_FROM or processes == 1:
        return map(work, names)
    return _in_parallel(work, sorted(names, key=lambda name: -_size(ledger.folder / name)), processes)


def _in_parallel(work: Callable[[str], Done], names: Sequence[str], processes: int) -> Iterator[Done]:
    """Work on the last names in this process and on the first in others.

    The others are spawned, since a fork of a process with threads may hang.
    """
    context = multiprocessing.get_context("spawn")
    parts = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
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
    """Write one project's pages, and return its name, its entry and the changed pages."""
    project = load_project(Ledger(ledger), name)
    existing = set(_files_in((f"project/{name}", f"simple/{name}"), out))
    return name, make_entry(project, site), _write(render_project(project, site), existing, out)


def _write(pages: Iterable[tuple[str, str]], existing: set[str], out: Path) -> list[str]:
    """Write the pages, remove other existing ones, and return all changes.

    The others are of versions that are no longer listed, or were left by an interrupted run.
    """
    changed = []
    for name, text in pages:
        path, content = f"{out}/{name}", encode_page(text)
        if name not in existing:
            write_file(path, content)
            changed.append(name)
        elif write_if_changed(path, content):
            changed.append(name)
        existing.discard(name)
    gone = sorted(existing)
    for name in gone:
        (out / name).unlink()
    return changed + gone


def _files_in(folders: Iterable[str], out: Path) -> Iterator[str]:
    return (f"{folder}/{name}" for folder in folders for name in _entries(f"{out}/{folder}", folders=False))


def _is_page(name: str, overview: Pages) -> bool:
    """Test whether a file in the top folder is a page or a sitemap.

    Other files there may belong to somebody else.
    """
    return name in overview or SITEMAP.fullmatch(name) is not None


def _projects_in(out: Path) -> set[str]:
    return {name for kind in ("project", "simple") for name in _entries(f"{out}/{kind}", folders=True)}


def _entries(folder: Path | str, *, folders: bool) -> list[str]:
    """Return the names of the folders in a folder, or of everything else in it."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) is folders]
    except FileNotFoundError:
        return []


def _remove(names: Iterable[str], out: Path) -> list[str]:
    """Remove the pages of projects without releases and failed builds."""
    folders = [f"{kind}/{name}" for name in sorted(names) for kind in ("project", "simple")]
    for folder in folders:
        shutil.rmtree(out / folder, ignore_errors=True)
    return folders


def _size(folder: Path) -> int:
    """Return the size of the folder itself, which grows with the number of its files."""
    return folder.stat().st_size


def ledger_stamp(ledger: Path, name: str) -> Stamp:
    """Return the times of a project's folders in the ledger."""
    folder = f"{ledger}/{name}"  # making a Path costs more than the stat
    return _stamp(folder, f"{folder}/{REPORTS}", f"{folder}/{FAILURES}", f"{folder}/{LOCKS}", f"{folder}/{TEXTS}")


def output_stamp(out: Path, name: str) -> Stamp:
    """Return the times of a project's folders in the output."""
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
    """Hash the inputs of pages besides the ledger."""
    digest = hashlib.sha256(repr(site).encode("utf-8", "replace"))
    # Includes every file of the program: pages depend on many modules, and reading them takes milliseconds.
    for folder, folders, files in os.walk(Path(factory.__file__).parent):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            digest.update(f"{name}\0".encode())
            digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()


def _read_state(out: Path, made_by: str) -> Mapping[str, Written]:
    """Read the last state of the projects.

    There is none if it is unknown or of another program, settings or coverage.
    """
    try:
        state = decode((out / STATE_FILE).read_bytes(), State)
    except (OSError, *DAMAGED):
        return {}
    return state.projects if state.made_by == made_by else {}


def _write_state(out: Path, state: State) -> None:
    write_if_changed(out / STATE_FILE, encode(state))
