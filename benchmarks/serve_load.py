"""Response times of `factory serve` under load, and of a bare server.

Usage: python benchmarks/serve_load.py [--requests N] [--silent N] [--slow N] [--runs N]

Each request has a connection of its own; all are opened at once, by one process. Beside them, silent connections send
nothing, and slow ones send a header a second. The reference is an asyncio server that sends the same bytes: it has the
time of the client and of the machine. The processes share the machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from factory.cli.console import print_table

PAGE = b"<a href='package/'>package</a><br>\n" * 500
LIMIT_SECONDS = 120
REQUEST = b"GET /simple/ HTTP/1.1\r\nHost: board\r\nAccept: text/html\r\n\r\n"
SERVE = [sys.executable, "-m", "factory", "serve", "--quiet", "--port", "0"]
REFERENCE = """
import asyncio, sys
async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(page) + page)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    print("serving at", "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
page = open(sys.argv[1], "rb").read()
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Load:
    """Load: connections at once that repeat requests, beside silent and slow ones."""

    at_once: int
    silent: int = 0
    slow: int = 0
    repeated: int = 1

    @property
    def title(self) -> str:
        each = f" x {self.repeated}" if self.repeated > 1 else ""
        beside = [f"{count} {kind}" for count, kind in ((self.silent, "silent"), (self.slow, "slow")) if count]
        return f"{self.at_once:,}{each}{' beside ' if beside else ''}{' and '.join(beside)}"


@dataclass(frozen=True, slots=True)
class Result:
    """Result: sorted seconds of answers, wall and processor seconds, and megabytes."""

    times: Sequence[float]
    seconds: float
    processor: float
    megabytes: float

    def percentile(self, share: float) -> float:
        return self.times[min(len(self.times) - 1, int(len(self.times) * share))] if self.times else float("nan")


def main() -> int:
    """Measure both servers in turn, print a table, and return 1 if a request got no answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000, help="requests at once (default: %(default)s)")
    parser.add_argument("--silent", type=int, default=500, help="silent connections (default: %(default)s)")
    parser.add_argument("--slow", type=int, default=50, help="slow connections (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    arguments = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    loads = [
        Load(200),
        Load(arguments.requests),
        Load(arguments.requests, arguments.silent),
        Load(arguments.requests, arguments.silent, arguments.slow),
        Load(50, repeated=100),
    ]
    before = os.getloadavg()[0]
    rows = [row for load in loads for row in asyncio.run(compare(load, arguments.runs))]
    print(f"{arguments.runs} runs of each, load {before:.1f} before them; seconds, of the run with the median p99")
    titles = ("load", "server", "answered", "p50", "p99", "longest", "p99 to reference", "per second", "CPU", "MB")
    print_table(titles, rows)
    return 0 if all(answered.endswith(" all") for _, _, answered, *_ in rows) else 1


async def compare(load: Load, runs: int) -> list[Sequence[str]]:
    """Measure both servers in turn, each newly started."""
    found: dict[str, list[Result]] = {"factory serve": [], "reference": []}
    with tempfile.TemporaryDirectory(prefix="serve-load-") as folder:
        page = Path(folder) / "simple/index.html"
        page.parent.mkdir()
        page.write_bytes(PAGE)
        commands = ([*SERVE, folder], [sys.executable, "-c", REFERENCE, str(page)])
        for _ in range(runs):
            for results, command in zip(found.values(), commands, strict=True):
                results.append(await measure(load, command))
    chosen = {name: sorted(each, key=lambda result: result.percentile(0.99))[runs // 2] for name, each in found.items()}
    return [row(load, name, result, chosen["reference"]) for name, result in chosen.items()]


def row(load: Load, name: str, result: Result, reference: Result) -> Sequence[str]:
    wanted = load.at_once * load.repeated
    answered = f"{wanted:,} all" if len(result.times) == wanted else f"{len(result.times):,} of {wanted:,}"
    times = [f"{result.percentile(share):.3f}" for share in (0.5, 0.99, 1)]
    ratio = f"{result.percentile(0.99) / reference.percentile(0.99):.1f}"
    rate = f"{len(result.times) / result.seconds:.0f}"
    return (load.title, name, answered, *times, ratio, rate, f"{result.processor:.2f}", f"{result.megabytes:.0f}")


async def measure(load: Load, command: Sequence[str]) -> Result:
    """Start a server, and time the requests of one load."""
    async with started(command) as (server, port), AsyncExitStack() as others:
        for _ in range(load.silent):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            others.callback(writer.close)
        for _ in range(load.slow):
            others.callback(asyncio.create_task(send_slowly(port)).cancel)
        await asyncio.sleep(1)
        before, begun, times = sum(server.cpu_times()[:2]), time.monotonic(), list[float]()
        requests = asyncio.gather(*(ask(port, load.repeated, times) for _ in range(load.at_once)))
        with suppress(TimeoutError):  # the table has the number of answers
            await asyncio.wait_for(requests, LIMIT_SECONDS)
        seconds = time.monotonic() - begun
        processor = sum(server.cpu_times()[:2]) - before
        return Result(sorted(times), seconds, processor, server.memory_info().rss / 1e6)


@asynccontextmanager
async def started(command: Sequence[str]) -> AsyncIterator[tuple[psutil.Process, int]]:
    """Run a server; yield its process and its port, from its first line."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        address = next(word for word in line.split() if word.startswith("http://"))
        yield psutil.Process(process.pid), urlsplit(address).port or 80
    finally:
        process.terminate()
        await process.wait()


async def ask(port: int, times: int, answered: list[float]) -> None:
    """Ask for the page on one connection, and record the seconds of each answer.

    Those of the first begin with the connection.
    """
    begun = time.monotonic()
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(times):
            writer.write(REQUEST)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            if head.startswith(b"http/1.1 200"):
                answered.append(time.monotonic() - begun)
            begun = time.monotonic()
        writer.close()


async def send_slowly(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /simple/ HTTP/1.1\r\n")
    while True:
        writer.write(b"X-Slow: x\r\n")
        await asyncio.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
