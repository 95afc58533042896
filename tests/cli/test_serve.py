"""Tests of `factory serve` with odd options, and of closed and full outputs."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from factory.cli.main import main


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_port_out_of_range_is_refused(tmp_path: Path, port: str) -> None:
    (tmp_path / "simple").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(["serve", str(tmp_path), f"--port={port}"])


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "\udcff"])
def test_host_that_is_no_name_is_refused(tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "simple").mkdir()
    assert main(["serve", str(tmp_path), "--host", host, "--port", "0"]) == 13
    error = capsys.readouterr().err
    assert "cannot listen" in error
    assert "[Errno" not in error


@pytest.mark.parametrize("arguments", [["--host", "\udcff", "--port", "0"], ["x" * 5000], ["missing"]])
def test_server_that_did_not_start_keeps_signals(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "simple").mkdir()
    assert main(["serve", *([] if len(arguments) == 1 else [str(tmp_path)]), *arguments]) != 0
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())  # else its children can't be ended for 15 seconds


def test_reader_that_left_does_not_stop_requests(tmp_path: Path) -> None:
    (tmp_path / "simple").mkdir()
    (tmp_path / "simple/index.html").write_text("here")
    command = [sys.executable, "-m", "factory.cli", "serve", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().split()[3]
            for _ in range(2):
                server.stdout.readline()
            server.stdout.close()
            for _ in range(2):
                assert urllib.request.urlopen(url, timeout=20).read() == b"here"
        finally:
            server.terminate()


def test_full_disk_of_the_error_keeps_the_exit_status(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "factory.cli", "serve", str(tmp_path / "none")]
        assert subprocess.run(command, stderr=full).returncode == 13
