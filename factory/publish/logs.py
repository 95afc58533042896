"""What building and checking a wheel printed, as text files beside the wheel.

They are told apart from the rest of the index: a log can't be made again, nothing is installed from it, and the ledger,
which lies in git, is no place for it. So a log that is gone is no longer linked, and nothing else comes of that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from factory.model.record import BuildRecord
from factory.publish.reports import Log
from factory.publish.safe_text import harmless
from factory.util.atomic_files import changed_at, sha256_of, write_if_changed
from factory.util.paths import short

PUBLISHED = ("build", "check")
MAX_CHARACTERS = 4_000_000  # of a log's text; the end is what people look for, so most of it is kept
HEAD_CHARACTERS = 1_000_000

# What colours and moves a terminal's text; the user and password of an address.
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")

# A stage, and the Python of a check; the empty text for the build.
_Which = tuple[str, str]


def log_name(filename: str, log: Log) -> str:
    """The name of a wheel's log, which lies beside the wheel."""
    return f"{filename}.{'-'.join(filter(None, (log.stage, log.python)))}.txt"


def write_logs(
    filename: str,
    records: Sequence[BuildRecord],
    known: Sequence[Log],
    files: Path,
    cache: Path,
    *,
    force: bool = False,
) -> tuple[Log, ...]:
    """Put the logs of a wheel's `records` into the folder `files`; returns all that lie there then.

    `known` are those that lay there before. A log of which the source hasn't changed since is left alone, but not
    `force`: then it is written again, and goes where there is no source and it isn't what it was. `cache` is the
    factory's own folder, whose place on this machine is nobody's business.
    """
    if not records and not force and _are_there(filename, known, files):
        return tuple(known)
    sources = _sources(records)
    before = {(log.stage, log.python): log for log in known}
    logs = (
        _write(filename, which, sources.get(which), before.get(which), files, cache, force=force)
        for which in sorted({*sources, *before})
    )
    return tuple(log for log in logs if log is not None)


def _are_there(filename: str, logs: Iterable[Log], files: Path) -> bool:
    return all(changed_at(f"{files}/{log_name(filename, log)}") for log in logs)


def _sources(records: Iterable[BuildRecord]) -> Mapping[_Which, Path]:
    """The logs that are these records' own: those of an older time share a file with other builds."""
    return {
        (run.stage, record.target.python if run.stage == "check" else ""): run.log
        for record in records
        for run in record.stages
        if run.stage in PUBLISHED
        and run.log.parent.name in {short(record.key), short(record.wheel_of)}
        and run.log.is_file()
    }


def _write(
    filename: str, which: _Which, source: Path | None, known: Log | None, files: Path, cache: Path, *, force: bool
) -> Log | None:
    stage, python = which
    path = files / log_name(filename, known or Log(stage=stage, python=python, sha256=""))
    written = changed_at(path)
    if source is not None and (force or known is None or changed_at(source) >= written):
        content = readable(source.read_text(encoding="utf-8", errors="replace"), cache).encode()
        write_if_changed(path, content)
        return Log(stage=stage, python=python, sha256=hashlib.sha256(content).hexdigest())
    if known is not None and written and force and sha256_of(path) != known.sha256:
        path.unlink()
        return None
    return known if written else None


def readable(text: str, cache: Path) -> str:
    """A log's text for everybody: without a terminal's controls, credentials and the cache's place; not too long."""
    hidden = _CREDENTIALS.sub("", text.replace(str(cache), "$FACTORY_CACHE"))
    lines = (line.rpartition("\r")[2] for line in _shortened(hidden).replace("\r\n", "\n").split("\n"))
    return "\n".join(harmless(_TERMINAL.sub("", line)) for line in lines)


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    left_out = len(text) - MAX_CHARACTERS
    head, tail = text[:HEAD_CHARACTERS], text[HEAD_CHARACTERS + left_out :]
    return f"{head}\n[{left_out:,} characters are left out here]\n{tail}"
