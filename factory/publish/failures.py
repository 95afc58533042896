"""Failed builds in the ledger.

It has the last one of each recipe and Python, with the end of its log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from msgspec import UNSET

from factory.model.record import BuildFailure
from factory.publish.logs import clean_log, is_log
from factory.publish.reports import ledger_files, read_ledger_file
from factory.publish.safe_text import sanitize
from factory.util.atomic_files import write_if_changed
from factory.util.jsonio import dumps
from factory.util.quantities import quantity

FAILURES, LOG = "failures", ".log"
LOG_CHARACTERS = 200_000  # of the end of a log, which has the failure: the ledger is kept in git


def write_failures(
    ledger: Path,
    failures: Sequence[BuildFailure],
    succeeded: Mapping[tuple[str, str], str] | None = None,
    cache: Path | None = None,
) -> None:
    """Write these failures, and remove others that are fixed.

    `succeeded` maps a recipe's name and Python to the time of its last successful build. Failures from another
    machine's store stay until then. `cache` is the folder that has the failures' logs.

    Raises:
        PublishError: a failure in the ledger is damaged; the message names it.
    """
    kept = {_failure_path(ledger, each): each for each in failures}
    for path, failure in kept.items():
        _write_log(path.with_suffix(LOG), failure, cache)
        published = _continued(path, replace(failure, log=UNSET), succeeded or {})
        write_if_changed(path, dumps(published).encode())
    for path in ledger.glob(f"[!.]*/{FAILURES}/*.json"):
        if path not in kept and _is_fixed(read_ledger_file(str(path), BuildFailure), succeeded or {}):
            path.unlink()
            path.with_suffix(LOG).unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                path.parent.rmdir()
                path.parent.parent.rmdir()


def _continued(path: Path, failure: BuildFailure, succeeded: Mapping[tuple[str, str], str]) -> BuildFailure:
    """Return a failure that follows the published one, unless a build succeeded between them."""
    if not path.is_file():
        return failure
    before = read_ledger_file(str(path), BuildFailure)
    return failure if before == failure or _is_fixed(before, succeeded) else failure.after(before)


def _write_log(path: Path, failure: BuildFailure, cache: Path | None) -> None:
    """Write the end of a failure's log; without the log, one of an earlier failure is removed."""
    source = None if cache is None or not failure.log else cache / failure.log
    if cache is not None and source is not None and is_log(source, cache):
        text = clean_log(source.read_text(encoding="utf-8", errors="replace"), cache)
        write_if_changed(path, _end_of(text).encode())
    elif failure.finished != _finished(path.with_suffix(".json")):
        path.unlink(missing_ok=True)


def _finished(path: Path) -> str:
    """Return the time of the failure that the ledger has, empty if there is none."""
    return read_ledger_file(str(path), BuildFailure).finished if path.is_file() else ""


def _end_of(text: str) -> str:
    if len(text) <= LOG_CHARACTERS:
        return text
    end = text[-LOG_CHARACTERS:].partition("\n")[2]
    return f"[{quantity(len(text) - len(end), 'character')} left out here]\n{end}"


def _failure_path(ledger: Path, failure: BuildFailure) -> Path:
    return ledger / (failure.project or failure.name) / FAILURES / f"{failure_name(failure)}.json"


def failure_name(failure: BuildFailure) -> str:
    """Return the name of a failure among those of its project."""
    return f"{failure.name}-{failure.python}"


def _is_fixed(failure: BuildFailure, succeeded: Mapping[tuple[str, str], str]) -> bool:
    return succeeded.get((failure.name, failure.python), "") >= failure.finished


def read_failures(ledger: Path, project: str) -> tuple[BuildFailure, ...]:
    """Read a project's failed builds, one for each recipe and Python.

    Raises:
        PublishError: a file is damaged; the message names it.
    """
    return tuple(read_ledger_file(path, BuildFailure) for _, path in ledger_files(ledger, project, FAILURES))


def read_failure_logs(ledger: Path, project: str) -> Mapping[str, str]:
    """Read the logs of a project's failed builds, by `failure_name`."""
    paths = (Path(path).with_suffix(LOG) for _, path in ledger_files(ledger, project, FAILURES))
    return {path.stem: sanitize(path.read_text(encoding="utf-8", errors="replace")) for path in paths if path.is_file()}
