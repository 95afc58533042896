"""Coordinator of a fleet: gives the jobs of a run to the workers of a dask scheduler.

A job is given under its content key, so two runs with one exchange share one build. Results come through the exchange,
and stay there: a run that lost its scheduler, or a worker that was killed after its build, costs no second build.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.errors import FactoryError, StoreError
from factory.model.job import Job
from factory.model.record import BuildRecord
from factory.pipeline.fleet.worker import Answer, Order, build_order
from factory.pipeline.job import Records, prepare_job
from factory.pipeline.run import Run
from factory.store.exchange import Exchange
from factory.util import cancellation
from factory.util.extras import install_hint, require_libraries

CONNECT_SECONDS = 20
# Failures of packages by the exit status of the command.
FAILURES: Mapping[int, type[FactoryError]] = {
    kind.exit_code: kind for kind in FactoryError.__subclasses__() if kind.blames_package
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Workers of a scheduler, by a client of dask, and the exchange that all share."""

    address: str
    client: Any
    exchange: Exchange

    def build(self, job: Job, records: Records, run: Run) -> BuildRecord:
        """Return the build of a job: from the store, the exchange or a worker.

        `records` are those of all jobs that it needs, also indirectly: a worker may have none of them.

        Raises:
            FactoryError: the build failed, a worker has other recipes, or the scheduler is lost.
        """
        key = prepare_job(job, records, run).key
        if (stored := run.store.record(key)) is not None:
            self.exchange.put(stored)  # for workers that need it
            return stored
        if (taken := self.exchange.take(key)) is not None:
            return taken
        self._build_on_worker(job, key, records, run)
        if (built := self.exchange.take(key)) is None:
            raise StoreError(f"{job.label}: not in {self.exchange.name}, though a worker built it")
        return built

    def _build_on_worker(self, job: Job, key: str, records: Records, run: Run) -> None:
        order = Order(
            name=job.recipe.name,
            pythons=(*sorted(job.earlier), job.python),
            key=key,
            needs=tuple(records[each].key for each in sorted(records)),
            options=(
                *("--mode", run.config.mode),
                *("--environment", run.config.environment),
                *("--toolchain", job.toolchain),
            ),
            exchange=self.exchange.url,
        )
        run.reporter.line(f"{job.label}: given to the fleet")
        answer = self._answer(order, job)
        if answer.status == 0:
            run.reporter.line(f"{job.label}: built on {answer.machine}")
            return
        raise self._failed(answer, job)

    def _failed(self, answer: Answer, job: Job) -> FactoryError:
        """Return the failure of a worker, with its log in this cache."""
        failure = answer.failure
        message = failure.message if failure else f"{job.label}: failed on {answer.machine}\n{answer.output}"
        error = FAILURES.get(answer.status, FactoryError)(message)
        error.stage = failure.stage if failure else error.stage
        error.machines_fault = failure is None
        if failure is not None and failure.log:
            with suppress(StoreError):  # the failure itself matters more
                error.log = str(self.exchange.take_log(failure.log) or "")
        return error

    def _answer(self, order: Order, job: Job) -> Answer:
        """Wait for a worker's answer; a cancelled run leaves running builds to their workers."""
        from distributed import CancelledError, KilledWorker

        stop = cancellation.current()
        try:
            future = self.client.submit(build_order, order, key=_job_key(order), pure=False)
            with stop.ended_by(future.cancel):
                answer: Answer = future.result()
        except FactoryError:
            raise
        except KilledWorker as error:
            raise FactoryError(f"{job.label}: its workers ended, one after another: {error}") from error
        except CancelledError as error:
            stop.check()
            raise lost(self.address) from error
        except Exception as error:  # dask raises what a worker raised, or could not read
            if self.client.status == "closed":
                raise lost(self.address) from error
            raise FactoryError(
                f"{job.label}: no worker can build it: {type(error).__name__}: {error}",
                hint="install the same versions of the factory and of dask on all machines",
                machines_fault=True,
            ) from error
        return answer


def _job_key(order: Order) -> str:
    """Return the name of a job for dask: runs with one exchange share a build."""
    return f"build-{order.key}-{hashlib.sha256(order.exchange.encode()).hexdigest()[:16]}"


def lost(address: str) -> FactoryError:
    """Return the error of a scheduler that went away."""
    return FactoryError(
        f"{address}: the scheduler is lost",
        hint="start it again, and run the same command: what was built is in the exchange",
        machines_fault=True,
    )


@contextmanager
def connected(address: str, exchange: str, run: Run) -> Iterator[Fleet]:
    """Yield the fleet of a scheduler, such as tcp://10.0.0.1:8786, with or without workers.

    Raises:
        PrerequisiteMissing: dask is not installed.
        FactoryError: no scheduler answers at `address`.
    """
    require_libraries("factory build --scheduler", ["dask", "distributed"], hint=install_hint("fleet"))
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise FactoryError(
            f"{address}: no scheduler answers: {error}", hint="start one: dask scheduler", machines_fault=True
        ) from error
    with client:
        if not client.nthreads():  # type: ignore[no-untyped-call]
            run.reporter.line(f"{address}: no workers yet; start one: dask worker {address} --nthreads 1")
        yield Fleet(address=address, client=client, exchange=Exchange(url=_absolute(exchange), layout=run.layout))


def _absolute(url: str) -> str:
    """Return an address, or the absolute path of a folder: workers run in other folders."""
    return url if ":" in url else str(Path(url).expanduser().absolute())
