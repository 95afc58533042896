"""Runs llama.cpp's programs on the target: text, another type of the model, a benchmark, a server that is asked.

Environment: FACTORY_MODEL is the GGUF file, FACTORY_PROFILE the profile's name, FACTORY_RESULT the JSON file to write.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

DISTRIBUTION = "llama-cpp-tools"
PROGRAMS = {"llama-bench", "llama-cli", "llama-completion", "llama-quantize", "llama-server"}
MODEL = os.environ["FACTORY_MODEL"]
PROMPT = "The capital of France is"
RULE, QUESTION = "Be brief.", "Say hello."
NEW_TOKENS = 8
ANSWER_TOKENS = 4
LARGEST = 8
# Nothing is run to warm up, and no thread waits in a loop: under QEMU a token takes about a second.
THREADS = ("--threads", "2", "--poll", "0")
LIGHT = (*THREADS, "--ctx-size", "128", "--no-warmup", "--fit", "off", "--temp", "0")
# The server and llama-cli compute as llama-cpp-python does, so that profiles agree as they do there: at the sixth token
# two continuations are so close that flash attention makes k1 prefer the other one. llama-completion keeps it on.
PLAIN = ("--flash-attn", "off")
READY_SECONDS = 900
LOADED = re.compile(r"loaded CPU backend from .*/libggml-cpu-(\w+)\.so$", re.MULTILINE)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is on PATH to its end; its output is shown where it fails."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended


def check_files() -> None:
    """One copy of each library, all in one folder with the programs, which are executable."""
    files = [file for file in metadata.files(DISTRIBUTION) or [] if file.parts[:2] == ("llama_cpp_tools", "bin")]
    assert {file.name for file in files if file.suffix != ".so"} == PROGRAMS, files
    assert all(os.access(file.locate(), os.X_OK) for file in files if file.name in PROGRAMS), "a program can't be run"
    copies = Counter(file.name.partition(".so")[0] for file in files)
    assert max(copies.values()) == 1, copies


def cpu_backend() -> str:
    """The variant of ggml's CPU backend that programs load here, and nothing besides."""
    ended = run("llama-bench", "--list-devices")
    loaded = set(LOADED.findall(ended.stdout + ended.stderr))
    assert len(loaded) == 1, f"{loaded} were loaded\n{ended.stderr}"
    assert "(none)" in ended.stdout, f"there are other devices than the CPU\n{ended.stdout}"
    return str(loaded.pop())


def complete() -> str:
    """The greedy continuation of PROMPT by llama-completion."""
    options = ("--no-conversation", "--no-display-prompt", "--n-predict", str(ANSWER_TOKENS), *LIGHT)
    return run("llama-completion", "--model", MODEL, "--prompt", PROMPT, *options).stdout.rstrip("\n")


def talk() -> str:
    """What llama-cli shows of a chat of one question."""
    said = ("--system-prompt", RULE, "--prompt", QUESTION, "--single-turn")
    return run("llama-cli", "--model", MODEL, *said, "--n-predict", str(ANSWER_TOKENS), *LIGHT, *PLAIN).stdout


def quantize(out: Path) -> None:
    """Write the model as Q8_0."""
    run("llama-quantize", "--allow-requantize", MODEL, str(out), "Q8_0", "2")
    # 8.5 bits a weight instead of 5.
    assert 1.4 < out.stat().st_size / Path(MODEL).stat().st_size < 1.8, out.stat()


def bench(model: Path) -> tuple[str, dict[str, float]]:
    """What llama-bench says of a model: its type, and tokens per second for prompts and for new text."""
    sizes = ("--n-prompt", "8", "--n-gen", "2", "--repetitions", "1", "--no-warmup", "--output", "json")
    tests = json.loads(run("llama-bench", "--model", str(model), *sizes, *THREADS).stdout)
    assert [(test["n_prompt"], test["n_gen"]) for test in tests] == [(8, 0), (0, 2)], tests
    prompt, text = (round(float(test["avg_ts"]), 2) for test in tests)
    return str(tests[0]["model_type"]), {"prompt": prompt, "text": text}


@contextmanager
def served() -> Iterator[str]:
    """llama-server on this machine's own loopback, from when it is ready to its orderly end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    options = ("--model", MODEL, "--host", "127.0.0.1", "--port", port, "--parallel", "1", *LIGHT, *PLAIN)
    server = subprocess.Popen(["llama-server", *options])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, server)
        yield url
        server.terminate()
        assert server.wait(60) == 0, f"llama-server ended with {server.returncode}"
    finally:
        server.kill()


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """It answers 503 while it loads the model."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, f"llama-server ended with {server.returncode} before it was ready"
        try:
            if ask(f"{url}/health") == {"status": "ok"}:
                return
        except URLError:
            time.sleep(0.2)
    raise AssertionError(f"llama-server was not ready after {READY_SECONDS} s")


def ask(url: str, **body: object) -> Any:
    """The JSON that the server answers with."""
    data = json.dumps(body).encode() if body else None
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=READY_SECONDS) as answer:
        return json.load(answer)


def chat(url: str) -> str:
    """The answer to QUESTION, as clients of OpenAI's interface ask for it."""
    messages = [{"role": "system", "content": RULE}, {"role": "user", "content": QUESTION}]
    answer = ask(f"{url}/v1/chat/completions", messages=messages, max_tokens=ANSWER_TOKENS, temperature=0)
    return str(answer["choices"][0]["message"]["content"])


def continued(url: str) -> tuple[str, list[int], list[list[tuple[int, float]]]]:
    """The server's own continuation of PROMPT: its text, its tokens, and the likeliest tokens' log probabilities."""
    body = {"prompt": PROMPT, "n_predict": NEW_TOKENS, "temperature": 0, "return_tokens": True, "n_probs": LARGEST}
    answer = ask(f"{url}/completion", **body)
    steps = [step["top_logprobs"] for step in answer["completion_probabilities"]]
    logits = [[(int(top["id"]), round(float(top["logprob"]), 4)) for top in step] for step in steps]
    return str(answer["content"]), answer["tokens"], logits


def main() -> None:
    profile = os.environ["FACTORY_PROFILE"]
    # Ask for SpacemiT's matrix instructions everywhere: the recipe says which profile may use them.
    os.environ["GGML_RISCV_IME"] = "1"
    check_files()
    backend = cpu_backend()
    begun = complete()

    with served() as url:
        (model,) = ask(f"{url}/v1/models")["data"]
        assert Path(model["id"]).name == Path(MODEL).name, model
        text, tokens, logits = continued(url)
        assert len(begun) > 1, f"llama-completion writes {begun!r}"
        assert text.startswith(begun), f"llama-server writes {text!r}, llama-completion {begun!r}"
        answer = chat(url)
    spoken = talk()
    assert answer.strip(), "the server's answer is empty"
    assert answer in spoken, f"llama-server answers {answer!r}, llama-cli {spoken!r}"

    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.gguf"
        quantize(quantized)
        kind, speed = bench(quantized)
    assert kind.endswith("Q8_0"), kind

    shown = PROMPT + text
    facts = {"cpu-backend": backend, "tokens-per-second": speed, "chat": answer, "quantized": kind}
    result = {"shown": shown, "facts": facts, "tokens": tokens, "logits": logits}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    print(f"{profile}: {backend}: {shown!r}")
    assert "Paris" in shown, f"on {profile} the model doesn't know the capital of France: {shown!r}"


if __name__ == "__main__":
    main()
