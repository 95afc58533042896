"""vLLM's server on the loopback interface, asked by the openai client."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from openai import APIStatusError, OpenAI

MODEL = "model"
PARALLEL = 3
# Tokens of a step, of a block of the KV cache, and of the longest request.
CHUNK, BLOCK, LENGTH = 16, 32, 256
START_SECONDS, SECONDS = 900.0, 300.0
OPTIONS = (
    "--dtype=float16",
    "--enforce-eager",
    f"--served-model-name={MODEL}",
    f"--max-model-len={LENGTH}",
    f"--max-num-seqs={PARALLEL}",
    f"--max-num-batched-tokens={CHUNK}",
    f"--block-size={BLOCK}",
    "--enable-prefix-caching",
    # A model of two layers writes spaces for ever where JSON allows them.
    "--structured-outputs-config.disable_any_whitespace=true",
    "--structured-outputs-config.backend=xgrammar",
    "--host=127.0.0.1",
)
PROMPT = "The capital of France is"
LONG = "One, two, three, four, five, six, seven, eight, nine, ten, " * 2
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
BAD = ({"max_tokens": -1}, {"prompt": LONG * 9}, {"model": "absent"}, {"temperature": -2})


@dataclass(frozen=True)
class Server:
    """A running server, and the client that asks it."""

    process: subprocess.Popen[bytes]
    url: str
    client: OpenAI

    def complete(self, prompt: str = PROMPT, tokens: int = 8, **options: object) -> str:
        """Return greedy text of so many tokens."""
        wanted = {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0, **options}
        return str(self.client.completions.create(**wanted).choices[0].text)

    def metric(self, name: str) -> float:
        """Return the sum of a metric's values."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=SECONDS) as response:
            text = response.read().decode()
        values = re.findall(rf"^vllm:{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        assert values, f"no metric {name}"
        return sum(map(float, values))


def ask_server(folder: Path, note: Callable[[str], None]) -> str:
    """Start a server of the model in `folder`, try what it offers, and end it.

    Returns what was tried.
    """
    with _running(folder) as server:
        note("the server answers")
        for test in TESTS:
            note(f"{test.__name__[1:]}: {test(server)}")
        note(f"SIGTERM: {_end_while_it_answers(server)}")
    return f"served {', '.join(test.__name__[1:].replace('_', ' ') for test in TESTS)}"


@contextmanager
def _running(folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = ["-m", "vllm.entrypoints.cli.main", "serve", str(folder), f"--port={port}", *OPTIONS]
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    process = subprocess.Popen([sys.executable, *argv], env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    client = OpenAI(base_url=f"{url}/v1", api_key="none", timeout=SECONDS, max_retries=0)
    try:
        _wait(lambda: _answers(process, f"{url}/health"), START_SECONDS)
        yield Server(process, url, client)
    finally:
        with suppress(ProcessLookupError):  # the engine's processes too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    assert process.poll() is None, f"the server ended with {process.returncode}"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return True
    except OSError:
        return False


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.5)


def _chat(server: Server) -> str:
    question = {"role": "user", "content": "What is 2 + 2?"}
    answer = server.client.chat.completions.create(model=MODEL, messages=[question], max_tokens=4, temperature=0)
    assert answer.usage.completion_tokens == 4, answer
    return repr(answer.choices[0].message.content)


def _streaming(server: Server) -> str:
    whole, wanted = server.complete(), {"model": MODEL, "prompt": PROMPT, "max_tokens": 8, "temperature": 0}
    parts = [part.choices[0].text for part in server.client.completions.create(**wanted, stream=True)]
    assert "".join(parts) == whole, (parts, whole)
    assert len(parts) > 4, parts
    return f"{whole!r} in {len(parts)} parts"


def _requests_at_once(server: Server) -> str:
    running = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        options = {"extra_body": {"ignore_eos": True}}
        jobs = [pool.submit(server.complete, f"{number} is", 12, **options) for number in range(PARALLEL)]
        while not all(job.done() for job in jobs):
            running.append(server.metric("num_requests_running"))
            time.sleep(1)
    assert all(job.result() for job in jobs)
    assert max(running) == PARALLEL, running
    return f"{max(running):.0f} running"


def _chunked_prefill(server: Server) -> str:
    """Ask with a prompt of several steps: one takes no more than CHUNK tokens."""
    before = server.metric("prompt_tokens_total")
    server.complete(LONG, 1)
    tokens = server.metric("prompt_tokens_total") - before
    assert tokens > 2 * CHUNK, tokens
    return f"{tokens:.0f} tokens, {CHUNK} at a time"


def _prefix_caching(server: Server) -> str:
    before = server.metric("prefix_cache_hits_total")
    server.complete(LONG, 1)
    hits = server.metric("prefix_cache_hits_total") - before
    assert hits >= BLOCK, hits
    return f"{hits:.0f} tokens found"


def _stop_strings(server: Server) -> str:
    text = server.complete(tokens=8)
    stop = text[len(text) // 2 :][:3]
    found = server.complete(tokens=8, stop=[stop])
    assert found == text[: text.index(stop)], (text, stop, found)
    return repr(stop)


def _structured_output(server: Server) -> str:
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    question = {"role": "user", "content": "A person?"}
    answer = server.client.chat.completions.create(
        model=MODEL, messages=[question], max_tokens=64, temperature=0, response_format=wanted
    )
    found = json.loads(answer.choices[0].message.content)
    assert found.keys() == PERSON["properties"].keys(), found
    assert 1 <= found["age"] <= 9, found
    return repr(found)


def _bad_requests(server: Server) -> str:
    told = []
    for options in BAD:
        try:
            server.client.completions.create(**{"model": MODEL, "prompt": PROMPT} | options)
        except APIStatusError as error:
            told.append(error.status_code)
    assert all(400 <= status < 500 for status in told), told
    assert len(told) == len(BAD), told
    return repr(told)


def _client_that_goes_away(server: Server) -> str:
    generated = server.metric("generation_tokens_total")
    wanted = {"model": MODEL, "prompt": PROMPT, "max_tokens": LENGTH - 16, "extra_body": {"ignore_eos": True}}
    with server.client.completions.create(**wanted, stream=True) as stream:
        next(iter(stream))
    _wait(lambda: server.metric("num_requests_running") == 0, SECONDS)
    generated = server.metric("generation_tokens_total") - generated
    assert generated < LENGTH / 2, generated
    return f"ended after {generated:.0f} tokens"


def _end_while_it_answers(server: Server) -> str:
    wanted = {"model": MODEL, "prompt": PROMPT, "max_tokens": LENGTH - 16, "extra_body": {"ignore_eos": True}}
    with server.client.completions.create(**wanted, stream=True) as stream:
        parts = iter(stream)
        next(parts)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        reasons = [part.choices[0].finish_reason for part in parts]
    assert reasons[-1] == "abort", reasons
    status = server.process.wait(SECONDS)
    assert status == 0, f"after SIGTERM the server ended with {status}"
    return f"the client was told, and the server ended after {time.monotonic() - began:.1f} s"


TESTS = (
    _chat,
    _streaming,
    _requests_at_once,
    _chunked_prefill,
    _prefix_caching,
    _stop_strings,
    _structured_output,
    _bad_requests,
    _client_that_goes_away,
)
