"""Timers, sockets, processes, signals and threads on uvloop's event loop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import uvloop

DATA = bytes(range(256)) * 2000


async def main() -> int:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, uvloop.Loop), loop
    await timers(loop)
    echoed = await streams()
    await datagrams(loop)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(input()[::-1])", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    written, _ = await process.communicate(b"riscv\n")
    assert (written, process.returncode) == (b"vcsir\n", 0), (written, process.returncode)
    received = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, received.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(received.wait(), 60)
    assert await loop.run_in_executor(None, sum, range(1000)) == 499500
    names = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    assert names[0][4] == ("127.0.0.1", 80), names
    return echoed


async def timers(loop: asyncio.AbstractEventLoop) -> None:
    order: list[int] = []
    start = time.monotonic()
    for delay in (3, 1, 2):
        loop.call_later(delay / 5, order.append, delay)
    cancelled = loop.call_later(0.01, order.append, 0)
    cancelled.cancel()
    await asyncio.sleep(0.8)
    assert order == [1, 2, 3], order
    assert time.monotonic() - start >= 0.79


async def streams() -> int:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(DATA)))
        await writer.drain()
        writer.close()

    async def ask(opened: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        reader, writer = opened
        writer.write(DATA)
        assert await reader.read(-1) == DATA
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.gather(*[ask(await asyncio.open_connection("127.0.0.1", port)) for _ in range(5)])
    server.close()
    with tempfile.TemporaryDirectory() as folder:
        local = await asyncio.start_unix_server(echo, f"{folder}/socket")
        await ask(await asyncio.open_unix_connection(f"{folder}/socket"))
        local.close()
    return 6 * len(DATA)


async def datagrams(loop: asyncio.AbstractEventLoop) -> None:
    answer = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
            answer.set_result(data)

    receiver, _ = await loop.create_datagram_endpoint(Receiver, ("127.0.0.1", 0))
    sender, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=receiver.get_extra_info("sockname")
    )
    sender.sendto(b"datagram")
    assert await asyncio.wait_for(answer, 60) == b"datagram"
    sender.close()
    receiver.close()


echoed = uvloop.run(main())
shown = f"uvloop {uvloop.__version__}: timers in order, {echoed} bytes echoed, a process, a signal, a thread"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
