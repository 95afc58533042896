"""Calls over TCP, a Unix socket and TLS by gRPC's core: unary, streams, gzip, deadlines, cancellation, asyncio."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DATA = bytes(range(256)) * 4000
WAIT = 120
cancelled = threading.Event()


def reverse(request: bytes, context: grpc.ServicerContext) -> bytes:
    sent = dict(context.invocation_metadata())
    context.set_trailing_metadata((("seen-bin", sent["mark-bin"]),))
    return request[::-1]


def count(request: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
    yield from (b"%d" % number for number in range(int(request)))


def total(requests: Iterator[bytes], _: grpc.ServicerContext) -> bytes:
    return b"%d" % sum(map(int, requests))


def echo(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield request * 2


def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: é")


def wait(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.add_callback(cancelled.set)
    cancelled.wait(WAIT)
    return b""


SERVICE = grpc.method_handlers_generic_handler(
    "test.Service",
    {
        "reverse": grpc.unary_unary_rpc_method_handler(reverse),
        "count": grpc.unary_stream_rpc_method_handler(count),
        "total": grpc.stream_unary_rpc_method_handler(total),
        "echo": grpc.stream_stream_rpc_method_handler(echo),
        "refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "wait": grpc.unary_unary_rpc_method_handler(wait),
    },
)


def all_kinds(channel: grpc.Channel) -> None:
    """Make calls of the four kinds, with binary metadata."""
    answer, call = channel.unary_unary("/test.Service/reverse").with_call(
        DATA, metadata=(("mark-bin", b"\0\xff"),), timeout=WAIT
    )
    assert answer == DATA[::-1]
    assert dict(call.trailing_metadata())["seen-bin"] == b"\0\xff"
    counted = channel.unary_stream("/test.Service/count")(b"300", timeout=WAIT)
    assert [int(number) for number in counted] == list(range(300))
    numbers = (b"%d" % number for number in range(200))
    assert channel.stream_unary("/test.Service/total")(numbers, timeout=WAIT) == b"19900"
    echoed = list(channel.stream_stream("/test.Service/echo")(iter([b"a", DATA, b""]), timeout=WAIT))
    assert echoed == [b"aa", DATA * 2, b""]


def status(call: Callable[..., bytes], timeout: float = WAIT) -> tuple[grpc.StatusCode, str]:
    """Return the status with which a call fails."""
    try:
        answer = call(b"1", timeout=timeout)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(answer)


def failures(channel: grpc.Channel) -> None:
    """Make calls that are refused, unknown, too late and cancelled."""
    refused = status(channel.unary_unary("/test.Service/refuse"))
    assert refused == (grpc.StatusCode.FAILED_PRECONDITION, "not today: é"), refused
    assert status(channel.unary_unary("/test.Service/absent"))[0] is grpc.StatusCode.UNIMPLEMENTED
    assert status(channel.unary_unary("/test.Service/wait"), 2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert cancelled.wait(WAIT)
    cancelled.clear()
    call = channel.unary_unary("/test.Service/wait").future(b"", timeout=WAIT)
    call.cancel()
    assert call.cancelled()
    cancelled.set()


def certificate() -> tuple[bytes, bytes]:
    """Return a new key and its certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    signed = built.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pem, signed.public_bytes(serialization.Encoding.PEM)


async def asynchronous(address: str) -> None:
    """Make twenty calls at once on asyncio."""
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.unary_unary("/test.Service/reverse")
        mark = (("mark-bin", b"x"),)
        answers = await asyncio.gather(*[method(b"%d!" % n, metadata=mark, timeout=WAIT) for n in range(20)])
    assert answers == [b"!" + str(n).encode()[::-1] for n in range(20)]


key, chain = certificate()
with tempfile.TemporaryDirectory() as folder:
    server = grpc.server(futures.ThreadPoolExecutor(8), compression=grpc.Compression.Gzip)
    server.add_generic_rpc_handlers((SERVICE,))
    port = server.add_insecure_port("127.0.0.1:0")
    secure_port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    server.add_insecure_port(f"unix:{folder}/socket")
    server.start()
    for address in (f"127.0.0.1:{port}", f"unix:{folder}/socket"):
        with grpc.insecure_channel(address, compression=grpc.Compression.Gzip) as channel:
            all_kinds(channel)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        failures(channel)
    with grpc.secure_channel(f"127.0.0.1:{secure_port}", grpc.ssl_channel_credentials(chain)) as channel:
        all_kinds(channel)
    with grpc.secure_channel(f"127.0.0.1:{secure_port}", grpc.ssl_channel_credentials(certificate()[1])) as channel:
        assert status(channel.unary_unary("/test.Service/reverse"))[0] is grpc.StatusCode.UNAVAILABLE
    asyncio.run(asynchronous(f"127.0.0.1:{port}"))
    server.stop(None).wait()

shown = f"grpc {grpc.__version__}: four kinds of calls by TCP, Unix socket and TLS, 20 at once"
result = {"shown": shown, "facts": {}, "tokens": [], "logits": []}
Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
