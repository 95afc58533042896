"""Builds that are cut, by the time limit and by kill -9, and go on with the same command."""

from __future__ import annotations

import math
import re
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from factory.errors import TimeLimitReached
from factory.util.atomic_files import sha256_of
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, Checkout, add_recipe, make_checkout
from tests.support.processes import survivors
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment

SPEED = """
import json, os, speed_cpp
value = speed_cpp.evaluate("2 * 3")
assert value == 6, value
facts = {"shown": f"2 * 3 = {value}", "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(facts))
"""
# Through a compiler that stops where the test says.
LAUNCHED = """
[build.environment]
CMAKE_CXX_COMPILER_LAUNCHER = "/ccache/finish-some"
CCACHE_DISABLE = "1"

[check]
profiles = ["rv64gc"]
"""
# It finishes as many objects as `allowed` says, writes half of the next one and hangs. CMake's own tries pass.
FINISH_SOME = """#!/bin/sh
case "$*" in */build/src/*) ;; *) exec "$@" ;; esac
mkdir /ccache/busy || echo "$*" >> /ccache/overlapping
if [ "$(wc -l < /ccache/finished)" -lt "$(cat /ccache/allowed)" ]; then
    "$@" && echo "$*" >> /ccache/finished && rmdir /ccache/busy
    exit
fi
while [ "$1" != -o ]; do shift; done
echo half > "$2"
sleep 1000
"""
SOURCE = re.compile(r"-c \S*/src/(\w+\.cpp)")
LIBRARY = "lib.linux-riscv64-cpython-313/vectors_c.cpython-313-riscv64-linux-gnu.so"


# With one job, one object is compiled after the other.
BUILD = ("build", "speed-cpp", "--jobs", "1")


def compiler_cache(cache: Path) -> Path:
    """Return the folder that builds of speed-cpp have as /ccache."""
    return Layout(cache).compiler_caches / "speed-cpp"


def speed_checkout(root: Path, cache: Path) -> Checkout:
    add_recipe(root, "speed-cpp", more=LAUNCHED, smoke=SPEED)
    tools = compiler_cache(cache)
    tools.mkdir(parents=True)
    (tools / "finish-some").write_text(FINISH_SOME)
    (tools / "finish-some").chmod(0o755)
    (tools / "finished").write_text("")
    return Checkout(root=root, cache=cache)


def allow(checkout: Checkout, objects: int) -> None:
    (compiler_cache(checkout.cache) / "allowed").write_text(str(objects))
    shutil.rmtree(compiler_cache(checkout.cache) / "busy", ignore_errors=True)


def compiled(checkout: Checkout) -> Counter[str]:
    """How often the compiler finished each object, in all slices."""
    return Counter(SOURCE.findall((compiler_cache(checkout.cache) / "finished").read_text()))


def half_written(checkout: Checkout) -> list[Path]:
    objects = checkout.cache.glob("jobs/speed-cpp-*/work/objects/CMakeFiles/speed_cpp.dir/src/*.o")
    return [path for path in objects if path.read_bytes() == b"half\n"]


def kill_at_half_an_object(checkout: Checkout) -> float:
    """Build until an object is half written, then kill -9; returns the seconds that it took."""
    before, started = half_written(checkout), time.monotonic()
    with checkout.start(*BUILD) as process:
        wait_until(lambda: half_written(checkout) not in ([], before), seconds=1800, process=process)
        process.kill()
    assert survivors(checkout.cache) == []
    return time.monotonic() - started


def cut_at_limit(checkout: Checkout, seconds: float) -> None:
    limited = checkout.factory(*BUILD, "--time-limit", f"{math.ceil(seconds)}s")
    assert limited.returncode == TimeLimitReached.exit_code, limited.stderr
    (interrupted,) = (line for line in limited.stderr.splitlines() if line.startswith("  interrupted: "))
    assert "speed-cpp 1.0 (finished: source, patch, environment)" in interrupted
    assert survivors(checkout.cache) == []


def test_build_in_five_slices_gives_same_bytes(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = speed_checkout(tmp_path / "checkout", fresh_cache)
    allow(checkout, 1)
    kill_at_half_an_object(checkout)
    allow(checkout, 2)
    seconds = kill_at_half_an_object(checkout)
    for objects in (3, 4):
        allow(checkout, objects)
        cut_at_limit(checkout, seconds + 1)
    assert 2 <= compiled(checkout).total() <= 4
    allow(checkout, 100)
    finished = checkout.factory(*BUILD)
    assert finished.returncode == 0, finished.stderr
    names = ("evaluate.cpp", "functions.cpp", "lexer.cpp", "module.cpp", "parser.cpp")
    assert compiled(checkout) == dict.fromkeys(names, 1)
    cut = sha256_of(checkout.wheel())
    shutil.rmtree(fresh_cache / "store")
    assert checkout.factory(*BUILD).returncode == 0
    assert compiled(checkout) == dict.fromkeys(names, 2)
    assert sha256_of(checkout.wheel()) == cut
    assert not (compiler_cache(fresh_cache) / "overlapping").exists()


def test_build_killed_discards_half_written_library(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE)
    with checkout.start("build", "vectors-c") as process:
        wait_until(lambda: "backend_call" in checkout.log("vectors-c-1.0", "build"), seconds=1800, process=process)
        process.kill()
    # setuptools takes a library that is newer than its sources for finished.
    (half,) = (path / "work/src/build" / LIBRARY for path in fresh_cache.glob("jobs/vectors-c-*[0-9a-f]"))
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"\x7fELF")
    finished = checkout.factory("build", "vectors-c")
    assert finished.returncode == 0, finished.stderr
    assert "rv64gc: sum 499500.0" in finished.stderr
