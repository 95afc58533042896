"""Build and check logs of a wheel, published as sidecar text files.

Unlike the rest of the index, a log can't be made again, no installer reads it, and it is too large for the ledger in
git. A log that is lost is no longer linked, without further consequences.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from factory.model.record import BuildRecord
from factory.publish.reports import Log
from factory.publish.safe_text import sanitize
from factory.util.atomic_files import changed_at, sha256_of, write_if_changed
from factory.util.paths import Layout, short
from factory.util.redaction import redact

PUBLISHED = ("build", "check")
MAX_CHARACTERS = 4_000_000  # of a log's text; most of them are of its end, which has the failure
HEAD_CHARACTERS = 1_000_000  # of these, characters of the beginning

# Escape sequences of terminals; user and password of an address.
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")

# A stage, and the Python of a check (empty for the build).
_LogKey = tuple[str, str]


def log_name(filename: str, log: Log) -> str:
    """Return the file name of a wheel's log, a sidecar of the wheel."""
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
    """Write the logs of a wheel's `records` into the folder `files`.

    Returns all logs that are there.

    `known` are the logs written before. One whose source is unchanged is left alone. With `force` it is written again,
    or removed if it has no source and its bytes changed. `cache` is the factory's cache folder: its path is replaced
    in the text.
    """
    if not records and not force and _all_written(filename, known, files):
        return tuple(known)
    sources = _sources(records, cache)
    before = {(log.stage, log.python): log for log in known}
    logs = (
        _write(filename, key, sources.get(key), before.get(key), files, cache, force=force)
        for key in sorted({*sources, *before})
    )
    return tuple(log for log in logs if log is not None)


def _all_written(filename: str, logs: Iterable[Log], files: Path) -> bool:
    return all(changed_at(f"{files}/{log_name(filename, log)}") for log in logs)


def is_log(path: Path, cache: Path) -> bool:
    """Report whether a path is that of a log in the cache's folder of logs, also after links.

    Records and failures may come from another machine, and a log is published: it must be no other file of this one.
    """
    return path.is_file() and path.resolve().is_relative_to(Layout(cache).logs.resolve())


def _sources(records: Iterable[BuildRecord], cache: Path) -> Mapping[_LogKey, Path]:
    """Map logs to their files; skip files of old records that other builds share."""
    return {
        (run.stage, record.target.python if run.stage == "check" else ""): run.log
        for record in records
        for run in record.stages
        if run.stage in PUBLISHED
        and run.log.parent.name in {short(record.key), short(record.wheel_of)}
        and is_log(run.log, cache)
    }


def _write(
    filename: str, key: _LogKey, source: Path | None, known: Log | None, files: Path, cache: Path, *, force: bool
) -> Log | None:
    stage, python = key
    path = files / log_name(filename, known or Log(stage=stage, python=python, sha256=""))
    written = changed_at(path)
    if source is not None and (force or known is None or changed_at(source) >= written):
        content = clean_log(source.read_text(encoding="utf-8", errors="replace"), cache).encode()
        write_if_changed(path, content)
        return Log(stage=stage, python=python, sha256=hashlib.sha256(content).hexdigest())
    if known is not None and written and force and sha256_of(path) != known.sha256:
        path.unlink()
        return None
    return known if written else None


def clean_log(text: str, cache: Path) -> str:
    """Clean a log's text for publication.

    This removes escape sequences, credentials and the cache's path, and limits the length.
    """
    hidden = redact(_CREDENTIALS.sub("", text.replace(str(cache), "$FACTORY_CACHE")))
    lines = (line.rpartition("\r")[2] for line in _shortened(hidden).replace("\r\n", "\n").split("\n"))
    return "\n".join(sanitize(_TERMINAL.sub("", line)) for line in lines)


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    omitted = len(text) - MAX_CHARACTERS
    head, tail = text[:HEAD_CHARACTERS], text[HEAD_CHARACTERS + omitted :]
    return f"{head}\n[{omitted:,} characters are left out here]\n{tail}"
