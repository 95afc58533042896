"""Tests of files in use: nobody removes them before their users end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from factory.util.locks import unused, use

USE = """
import sys
from pathlib import Path
from factory.util.locks import use
print(use(Path(sys.argv[1])), flush=True)
sys.stdin.readline()
"""


def start_use(path: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", USE, str(path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_use_lasts_until_the_process_ends(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "layer.json"
    path.touch()
    processes = [start_use(path), start_use(path)]
    for process in processes:
        with unused(path) as free:
            assert not free
        process.send_signal(number)
        process.communicate()
    with unused(path) as free:
        assert free


def test_use_of_removed_file_is_false(tmp_path: Path) -> None:
    """A process that waited for the removal must not go on with the file that it opened."""
    path, used = tmp_path / "layer.json", []
    path.touch()
    waiting = threading.Thread(target=lambda: used.append(use(path)))
    with unused(path) as free:
        assert free
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        path.unlink()
    waiting.join(10)
    assert (used, use(path)) == ([False], False)
