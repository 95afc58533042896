"""Lets a program of llama-cpp-tools read a long prompt with OpenBLAS and without, on the target.

Environment: FACTORY_MODEL is the GGUF file, FACTORY_PROFILE the profile's name, FACTORY_RESULT the JSON file to write.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import llama_cpp_tools

PROGRAMS = Path(llama_cpp_tools.BIN)
MODULE = "libggml-blas.so"
# 34 tokens: OpenBLAS gets products of 32 rows and more.
PROMPT = "One, two, three, four, five, six, seven, eight, nine, ten, one, two, three, four, five, six, seven,"
NEW_TOKENS = 2


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its output is shown where it fails."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended


def devices(programs: Path) -> list[str]:
    """What llama-cli lists besides the CPU."""
    listed = run(str(programs / "llama-cli"), "--list-devices").stdout
    return re.findall(r"^ +(\w+): ", listed, re.MULTILINE)


def complete(programs: Path) -> tuple[str, int]:
    """The continuation of PROMPT, and in how many parts the work on the prompt was split between backends."""
    options = ("--no-conversation", "--no-display-prompt", "--n-predict", str(NEW_TOKENS), "--temp", "0")
    light = ("--threads", "2", "--poll", "0", "--ctx-size", "128", "--no-warmup", "--fit", "off", "--verbosity", "5")
    model = ("--model", os.environ["FACTORY_MODEL"], "--prompt", PROMPT)
    ended = run(str(programs / "llama-completion"), *model, *options, *light)
    splits = re.search(r"\bsplits = (\d+)", ended.stderr)
    assert splits, ended.stderr
    return ended.stdout.strip("\n"), int(splits[1])


def core() -> str:
    """The processor that the OpenBLAS in the wheel has chosen its kernels for."""
    bundled = metadata.files("llama-cpp-tools-openblas") or []
    assert any(file.match("licenses/openblas/*") for file in bundled), "OpenBLAS's licence is missing"
    (library,) = (file.locate() for file in bundled if file.name.startswith("libopenblas"))
    openblas = ctypes.CDLL(str(library))
    openblas.openblas_get_corename.restype = ctypes.c_char_p
    return str(openblas.openblas_get_corename().decode())


def main() -> None:
    profile = os.environ["FACTORY_PROFILE"]
    assert devices(PROGRAMS) == ["BLAS"], devices(PROGRAMS)
    text, splits = complete(PROGRAMS)
    assert splits > 1, "the prompt was read without OpenBLAS"

    without = Path("/build/without")
    shutil.copytree(PROGRAMS, without, ignore=shutil.ignore_patterns(MODULE), dirs_exist_ok=True)
    assert devices(without) == [], devices(without)
    assert complete(without) == (text, 1), f"without OpenBLAS {complete(without)}, with it {text!r}"

    facts = {"core": core(), "splits": splits}
    result = {"shown": f"{facts['core']}: ...{PROMPT[-12:]}{text}", "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(f"{profile}: {result['shown']}")
    assert "eight" in text, f"on {profile} the model can't count: {text!r}"


if __name__ == "__main__":
    main()
