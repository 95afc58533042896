"""Usage of the cache folder, builds in progress, and removal of unused builds and layers."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from factory.host.native_programs import native_command
from factory.store.cache_areas import lock_of
from factory.store.cache_export import Report
from factory.store.trees import walk
from factory.util.confinement import run_tool
from factory.util.locks import held_if_free, unused
from factory.util.paths import Layout
from factory.util.scratch import discard, is_abandoned, is_foreign

DAY = 86400.0
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The size of a folder of the cache on disk, in bytes.

    It is not `whole` if this user may not read folders in it.
    """

    folder: str
    size: int
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """An unfinished build: its finished stages, and the seconds since its last change."""

    job: str
    finished: tuple[str, ...]
    idle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerStatistics:
    """ccache's own counters; sizes in bytes."""

    hits: int
    misses: int
    remote_hits: int
    size: int


def usage(layout: Layout) -> list[Usage]:
    """Return the usage of every folder of the cache, by name."""
    folders = sorted(path for path in layout.root.iterdir() if path.is_dir()) if layout.root.is_dir() else []
    return [_usage(path) for path in folders]


def _usage(folder: Path) -> Usage:
    unread: list[OSError] = []
    size = _size(folder, on_error=unread.append)
    return Usage(folder=folder.name, size=size, whole=not any(isinstance(each, PermissionError) for each in unread))


def in_progress(layout: Layout) -> list[Progress]:
    """Return the builds that the next run would resume."""
    return [
        Progress(
            job=job.name,
            finished=tuple(
                path.stem for path in sorted(job.glob("steps/*.json"), key=lambda path: path.stat().st_mtime)
            ),
            idle=time.time() - _last_change(job),
        )
        for job in _folders(layout.jobs)
        if (job / "steps").is_dir()
    ]


def compiler_statistics(layout: Layout) -> CompilerStatistics | None:
    """Return the counters of ccache; None before the layer of native tools exists."""
    # The layer's name is followed by a hash; other layers of native programs have names like native-python3.14.
    natives = sorted(layout.layers.glob("native-[0-9a-f]*/layer.json"), key=lambda path: path.stat().st_mtime)
    if not natives or not layout.compiler_caches.is_dir():
        return None
    layer = natives[-1].with_name("tree")
    program = [*native_command(layer, "ccache"), "--print-stats"]
    counters: Counter[str] = Counter()
    for folder in _folders(layout.compiler_caches):
        # Builds can write the folder with its configuration.
        printed = run_tool(program, readable=[layer, folder], env={"CCACHE_DIR": str(folder)})
        fields = (line.split("\t") for line in printed.splitlines())
        counters.update({field[0]: int(field[1]) for field in fields if len(field) == 2})
    return CompilerStatistics(
        hits=counters["direct_cache_hit"] + counters["preprocessed_cache_hit"],
        misses=counters["cache_miss"],
        remote_hits=counters["remote_storage_hit"],
        size=counters["cache_size_kibibyte"] * 1024,
    )


def prune(layout: Layout, days: int, report: Report) -> int:
    """Remove partial layers, and builds and layers unused for `days` days.

    Scratch folders of killed processes are removed too. Return the freed bytes.
    The store stays unchanged, and so do items that another process is working on.
    """
    oldest = time.time() - days * DAY
    freed = 0
    for layer in _folders(layout.layers):
        if layer.suffix == PARTIAL or _last_use(layer) < oldest:
            freed += _remove(layer, report)
    for job in _folders(layout.jobs):
        if _last_change(job) < oldest:
            freed += _remove(job, report)
    for scratch in _folders(layout.scratch):
        if is_abandoned(scratch) or (is_foreign(scratch) and _last_change(scratch) < oldest):
            freed += _remove_scratch(scratch, report)
    return freed


def _remove(folder: Path, report: Report) -> int:
    """Remove a layer or a job.

    Rename it first, so that an interrupted removal leaves nothing that looks finished.
    """
    name = folder.name.removesuffix(PARTIAL)
    with held_if_free(lock_of(folder.with_name(name))) as alone, unused(folder / "layer.json") as free:
        if not alone or not free:
            report(f"{folder.parent.name}/{name}: kept: another process is {'using' if alone else 'working on'} it")
            return 0
        size = _size(folder)
        discard(folder.rename(folder.with_name(name + PARTIAL)))
    report(f"{folder.parent.name}/{folder.name}: removed, {size / 1e6:.1f} MB")
    return size


def _remove_scratch(folder: Path, report: Report) -> int:
    """Remove a scratch folder, which no other process resumes from."""
    size = _size(folder)
    discard(folder)
    report(f"{folder.parent.name}/{folder.name}: removed, {size / 1e6:.1f} MB")
    return size


def _folders(area: Path) -> Sequence[Path]:
    """Return the layers or jobs of an area.

    The folder of a running import, whose name begins with a dot, is excluded.
    """
    return sorted(path for path in area.glob("[!.]*") if path.is_dir())


def _last_use(layer: Path) -> float:
    """Return the time of the layer's last use: each build touches its description."""
    description = layer / "layer.json"
    return description.stat().st_mtime if description.is_file() else 0.0


def _last_change(job: Path) -> float:
    return max(path.stat().st_mtime for path in (job, *(path for path in job.iterdir() if not path.is_symlink())))


def _size(folder: Path, on_error: Callable[[OSError], None] = lambda error: None) -> int:
    """Return the size on disk in bytes; files with several names count once."""
    statuses = _statuses(folder, on_error)
    return sum({(status.st_dev, status.st_ino): status.st_blocks * 512 for status in statuses}.values())


def _statuses(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[os.stat_result]:
    for entry in walk(folder, on_error=on_error):
        with suppress(OSError):  # removed meanwhile, or its path is too long
            if not entry.is_dir(follow_symlinks=False):
                yield entry.stat(follow_symlinks=False)
