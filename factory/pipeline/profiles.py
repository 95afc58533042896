"""Checks of ISA profiles at once, each in its own copy of the root with the package."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from factory.errors import FactoryError
from factory.model.protocols import CopiedRoot
from factory.model.record import CheckResult
from factory.pipeline.scheduler import run_graph
from factory.stages.checks.runner import RunProfile
from factory.util import cancellation
from factory.util.log import LogSink
from factory.util.resource_usage import Usage, current_meter, metered


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCopies:
    """Runner of profiles, at most `at_once` in parallel, in copies of `root`.

    What the check of one profile writes, no other sees.
    """

    root: CopiedRoot
    at_once: int
    keep: bool = False

    def run_all(self, profiles: Sequence[str], log: LogSink, run_profile: RunProfile) -> list[CheckResult]:
        """Run the check of each profile; return the results in the order of `profiles`.

        A check that the machine ended beside others, most often for lack of memory, runs again, alone.

        Raises:
            Exception: the first failure, after which no further profile starts.
        """
        results, postponed = self._run(profiles, log, run_profile, self.at_once)
        if postponed:
            log.write(f"# once more, one at a time: {', '.join(postponed)}\n")
            results |= self._run(postponed, log, run_profile, 1)[0]
        return [results[profile] for profile in profiles]

    def _run(
        self, profiles: Sequence[str], log: LogSink, run_profile: RunProfile, at_once: int
    ) -> tuple[dict[str, CheckResult], Sequence[str]]:
        """Return the results by profile, and the profiles that the machine ended beside others."""
        logs, used, failed, postponed = LogInTurn(log, profiles), list[Usage](), list[Exception](), set[str]()

        def work(profile: str, _done: Mapping[str, CheckResult]) -> CheckResult:
            with metered() as meter, logs.part(profile) as part:
                try:
                    if failed:
                        raise failed[0]
                    with self.root.copied(profile, keep=self.keep) as copy:
                        return run_profile(copy, profile, part)
                except Exception as error:
                    if at_once > 1 and isinstance(error, FactoryError) and error.machines_fault:
                        postponed.add(profile)
                    else:
                        failed.append(error)
                    raise
                finally:
                    used.append(meter.usage)

        outcome = run_graph(dict.fromkeys(profiles, ()), work, at_once=at_once)
        for usage in used:
            current_meter().add(usage)
        if failed:
            raise failed[0]
        cancellation.current().check()
        return outcome.done, [profile for profile in profiles if profile in postponed]


class LogInTurn:
    """A log of parts that several threads write: each is whole, in the order of the names.

    The first part that is not finished is written at once; the text of later ones is kept until their turn.
    """

    def __init__(self, log: LogSink, names: Sequence[str]) -> None:
        self.path = log.path
        self._log = log
        self._lock = threading.Lock()
        self._parts = {name: _Part(log=self) for name in names}

    @contextmanager
    def part(self, name: str) -> Iterator[LogSink]:
        """Return the log of one part, which is finished after the body."""
        part = self._parts[name]
        try:
            yield part
        finally:
            with self._lock:
                part.finished = True
                self._write_kept()

    def add(self, part: _Part, text: str) -> None:
        """Add text to a part."""
        with self._lock:
            part.kept.append(text)
            self._write_kept()

    def _write_kept(self) -> None:
        for part in self._parts.values():
            for text in part.kept:
                self._log.write(text)
            part.kept.clear()
            if not part.finished:
                return


@dataclass(slots=True, kw_only=True)
class _Part:
    """A part of a log, and its text that is not written yet."""

    log: LogInTurn
    kept: list[str] = field(default_factory=list)
    finished: bool = False

    @property
    def path(self) -> Path:
        return self.log.path

    def write(self, text: str) -> None:
        self.log.add(self, text)
