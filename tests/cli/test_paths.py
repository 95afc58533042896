"""Paths of every command that are not what it needs: one error each, and no traceback."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.cli.commands import COMMANDS
from factory.cli.main import main
from factory.cli.parser import CommandParser, make_parser
from factory.cli.values import folder_path, output_path
from factory.errors import StoreError
from tests.support.projects import make_project
from tests.support.wheelmaker import make_wheel

WHEEL = "demo-1.0-py3-none-any.whl"
# Commands with {} for a path. Without a path of the list below, they end soon: nothing was built or published.
LINES = (
    "audit {}",
    "bench instructions spam --wheel {}",
    "bench instructions spam --plot {}",
    "board --cpuinfo {}",
    "build spam --project {}",
    "build --plan {} --group 1",
    "cache export {}",
    "cache import {}",
    "check spam --index {}",
    "coverage --requirement {}",
    "coverage --index {}",
    "index --output {}",
    "index --ledger {}",
    "index --pages-only --output {}",
    "index --pages-only --ledger {}",
    "index --verify --output {}",
    "index --verify --ledger {}",
    "init {}",
    "issues --plan {} --repository owner/name --api http://127.0.0.1:9",
    "lint --project {}",
    "lock demo --index {}",
    "lock demo --index {} --publish",
    "plan --all --project {}",
    "publish {}",
    f"publish {WHEEL} --output {{}}",
    f"publish {WHEEL} --write-metadata {{}}",
    "rebuild spam --output {}",
    "refresh --output {}",
    "refresh --ledger {}",
    "report --ledger {}",
    "report --packages {}",
    "retain --builds 1 --ledger {}",
    "serve {}",
    "unyank demo==1 --ledger {}",
    "yank demo==1 --reason wrong --ledger {}",
    "attest --key {}",
    "attest --new-key {}",
    "attest --identity --trust-config {}",
    "verify {}",
    f"verify {WHEEL} --index {{}} --no-audit",
    f"verify {WHEEL} --key {{}} --no-audit",
)
CACHE_LINES = ("doctor", "cache info", "cache prune", "index", "plan spam", "rebuild spam", "report")
# Paths that name no folder of the machine, by what they are.
PATHS = {
    "file": "file",
    "below a file": "file/below",
    "folder": "folder",
    "missing": "missing/below",
    "dangling link": "dangling",
    "link to itself": "loop",
    "no permission": "/proc/no/such",
    "too long": "x" * 300,
    "undecodable": "undecodable-\udcff",
}
# Options with a path that need a riscv64 root, or more than one path.
PATH_TYPES = (Path, folder_path, output_path)
OTHER = {"image --output", "lock --output", "plan --output"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: object) -> Path:
    """Work in a project folder with the places of PATHS, and an empty cache."""
    folder = tmp_path / "project"
    make_project(folder)
    (folder / "file").write_text("some text\n")
    (folder / "folder").mkdir()
    (folder / "folder/other").write_text("not the factory's\n")
    (folder / "dangling").symlink_to("nothing/there")
    (folder / "loop").symlink_to("loop")
    make_wheel(folder, "demo")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("factory.cli.main.become_root", lambda: None)
    # Leaves no terminal, whose escape sequences would be among the lines.
    monkeypatch.setenv("TERM", "dumb")
    return folder


def run(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("line", LINES)
def test_odd_path_gives_an_error_and_no_traceback(line: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = run([word.replace("{}", path) for word in line.split()])
    shown = capsys.readouterr()
    assert "this may be a bug" not in shown.err
    assert status == 0 or shown.out or "error: " in shown.err or "factory: " in shown.err


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("line", CACHE_LINES)
def test_odd_cache_gives_an_error_and_no_traceback(
    line: str, path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_CACHE", os.path.join(os.getcwd(), path))  # noqa: PTH109, PTH118
    status = run(line.split())
    shown = capsys.readouterr()
    assert "this may be a bug" not in shown.err
    if path.startswith("file") and line != "doctor":
        assert (status, shown.out) == (StoreError.exit_code, "")
        assert "file: not a folder, for the cache" in shown.err


# Runs each line, in a process that has no more rights than the files' modes give it.
WITHOUT_RIGHTS = """
import io, sys
from contextlib import redirect_stderr, redirect_stdout
from factory.cli.main import main
for line in sys.argv[1:]:
    shown = io.StringIO()
    try:
        with redirect_stdout(shown), redirect_stderr(shown):
            main(line.split())
    except SystemExit:
        pass
    if "this may be a bug" in shown.getvalue():
        print(line, shown.getvalue())
"""
OVERRIDES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_forbidden_paths_give_errors_and_no_traceback(project: Path) -> None:
    forbidden = project / "forbidden"
    forbidden.mkdir()
    (forbidden / "file").write_text("")
    forbidden.chmod(0)
    lines = [line.replace("{}", path) for line in LINES for path in ("forbidden", "forbidden/file")]
    command = [*(OVERRIDES if os.geteuid() == 0 else ()), sys.executable, "-c", WITHOUT_RIGHTS, *lines]
    try:
        tried = subprocess.run(command, capture_output=True, text=True)
    finally:
        forbidden.chmod(0o700)
    assert (tried.returncode, tried.stdout) == (0, ""), tried.stderr[-3000:]


def test_every_option_with_a_path_is_tried() -> None:
    tried = {line.split()[0] + " " + word for line in LINES for word in line.split() if word.startswith("--")}
    known = {f"{name} {option}" for name in COMMANDS for option in _path_options(make_parser([name]))}
    shared = {f"{name} {option}" for name in COMMANDS for option in ("--project", "--ledger", "--output")}
    assert known - tried - shared - OTHER == set()


def _path_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                assert isinstance(child, CommandParser)
                yield from _path_options(child)
        elif action.type in PATH_TYPES and action.option_strings:
            yield action.option_strings[-1]
