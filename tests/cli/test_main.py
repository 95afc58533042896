"""Tests of the command line: messages, hints and exit statuses."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from factory import errors
from factory.cli import main
from factory.cli.commands import COMMANDS, doctor
from factory.cli.exit_statuses import EXIT_STATUSES, help_text
from factory.cli.parser import parse_arguments
from factory.host.doctor import examine, missing_packages
from factory.model.target import PYTHONS
from factory.util.paths import Layout

KINDS = [
    kind
    for kind in errors.FactoryError.__subclasses__()
    if kind is not errors.CommandFailed and kind.__module__ == errors.__name__
]


def test_each_kind_of_failure_has_an_exit_status_of_its_own() -> None:
    assert len({kind.exit_code for kind in KINDS}) == len(KINDS) > 9


def test_exit_statuses_are_in_help_and_docs(capsys: pytest.CaptureFixture[str]) -> None:
    assert {kind.exit_code for kind in KINDS} <= EXIT_STATUSES.keys()
    text = (Path(__file__).parents[2] / "docs/run-a-factory.md").read_text()
    rows = "\n".join(f"| {status} | {meaning} |" for status, meaning in EXIT_STATUSES.items())
    assert f"|---|---|\n{rows}\n\n" in text
    with pytest.raises(SystemExit):
        main.main(["--help"])
    assert capsys.readouterr().out.endswith(f"{help_text()}\n")


def test_error_prints_message_and_hint() -> None:
    assert str(errors.BuildFailed("it broke", hint="mend it")) == "it broke\n  hint: mend it"


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            main.main([name, "--help"])
        assert caught.value.code == 0
    with pytest.raises(SystemExit):
        main.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "check this machine" in shown


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        ([], {"pypi_simple", "requests", "jinja2", "werkzeug", "waitress", "docker", "gguf", "matplotlib"}),
        (["board"], {"numpy", "rich", "cattrs", "msgspec"}),
    ],
)
def test_starting_imports_nothing_that_only_others_need(arguments: list[str], unneeded: set[str]) -> None:
    script = f"import sys; from factory.cli.parser import make_parser; make_parser({arguments}); print(*sys.modules)"
    started = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert unneeded.isdisjoint(started.stdout.split())


def test_a_wrong_command_is_refused_with_the_commands_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["biuld"])
    assert caught.value.code == 2
    assert "'build'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("shell numpy --keep", []),
        ("shell numpy -- sh -c x", ["sh", "-c", "x"]),
        ("shell numpy --keep -- sh -c x", ["sh", "-c", "x"]),
        ("shell --keep numpy --python 3.14 -- ls -- --keep", ["ls", "--", "--keep"]),
        ("shell numpy ls", ["ls"]),
    ],
)
def test_shell_takes_command_after_options(line: str, command: list[str]) -> None:
    args = parse_arguments(line.split())
    assert (args.name, list(args.command), args.keep) == ("numpy", command, "--keep" in line.partition(" -- ")[0])


def test_dashes_end_the_options_of_other_commands() -> None:
    args = parse_arguments(["retain", "--builds", "2", "--", "-odd"])
    assert (args.builds, args.names) == (2, ["-odd"])


def test_an_unknown_python_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["build", "numpy", "--python", "3.12"])
    assert caught.value.code == 2
    refusal = capsys.readouterr().err.partition("argument --python: ")[2]
    assert [python for python in ("3.12", *PYTHONS) if python in refusal] == ["3.12", *PYTHONS]


def test_a_full_disk_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/x")

    monkeypatch.setattr(doctor, "run", fail)
    assert main.main(["doctor"]) == errors.StoreError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("factory: /cache/x: ")
    assert "No space left on device: the file system /" in error
    assert "FACTORY_CACHE" in hint


@pytest.mark.parametrize(("number", "word"), [(errno.EROFS, "can be written"), (errno.EACCES, "permit it")])
def test_hint_of_forbidden_file_fits_its_cause(
    number: int, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can permit a user to write on a read-only file system."""

    def fail(_: object) -> int:
        raise OSError(number, os.strerror(number), "/cache/x")

    monkeypatch.setattr(doctor, "run", fail)
    assert main.main(["doctor"]) == errors.StoreError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"factory: /cache/x: cannot be read or written: {os.strerror(number)}"
    assert word in hint


def test_doctor_explains_checks_and_fixes_missing_ones(tmp_path: Path) -> None:
    findings = examine(Layout(tmp_path))
    assert {"processor", "privileges", "programs", "sandbox", "riscv64 programs", "disk"} <= {
        finding.name for finding in findings
    }
    assert all(finding.seen for finding in findings)
    assert all(finding.mend for finding in findings if not finding.ok)


def test_doctor_sees_programs_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("factory.host.doctor.SYSTEM_PATH", str(tmp_path))
    assert {"bubblewrap", "mmdebstrap", "patch"} <= set(missing_packages())
    finding = next(finding for finding in examine(Layout(tmp_path)) if finding.name == "programs")
    assert (finding.ok, finding.mend) == (False, "factory setup")
    assert "bwrap" in finding.seen


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_forbidden_file_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def fail(_: object) -> int:
        raise OSError(number, os.strerror(number), "/checkout/x")

    monkeypatch.setattr(doctor, "run", fail)
    assert main.main(["doctor"]) == errors.StoreError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"factory: /checkout/x: cannot be read or written: {os.strerror(number)}"
    assert hint.startswith("  hint: ")


@pytest.mark.parametrize(("target", "status"), [("/dev/full", errors.StoreError.exit_code), (">(true)", 0)])
def test_short_output_that_cannot_be_printed(target: str, status: int) -> None:
    """Output of less than a buffer is printed at the end of the command."""
    command = f"{sys.executable} -m factory.cli completion fish > {target}"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert finished.returncode == status
    assert "Traceback" not in finished.stderr
    assert "Exception ignored" not in finished.stderr


@pytest.mark.parametrize("target", ["/dev/full", ">(true)"])
def test_error_as_json_that_cannot_be_printed(target: str) -> None:
    command = f"{sys.executable} -m factory.cli plan no-such-recipe --json > {target}"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert finished.returncode == errors.RecipeError.exit_code
    assert "Traceback" not in finished.stderr
    assert "Exception ignored" not in finished.stderr


def test_output_into_a_closed_pipe_is_no_failure() -> None:
    command = f"{sys.executable} -m factory.cli doctor --json | true"
    finished = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, env=os.environ
    )
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("target", ["/dev/full", ">(true)"])
def test_progress_that_cannot_be_printed_ends_no_command(target: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m factory.cli cache export {tmp_path}/cache.tar.zst --json 2> {target}"
    environment = {**os.environ, "FACTORY_CACHE": str(tmp_path / "cache")}
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert (finished.returncode, json.loads(finished.stdout)["items"]) == (0, 0)


def test_progress_into_a_full_pipe_ends_no_command(tmp_path: Path) -> None:
    """A pipe whose other end made it non-blocking, and does not read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    command = [sys.executable, "-m", "factory.cli", "plan", "no-such-recipe"]
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, timeout=60)
    os.close(reading)
    os.close(writing)
    assert finished.returncode == errors.RecipeError.exit_code


@pytest.mark.parametrize("place", ["file", "file/below", "read-only"])
def test_doctor_sees_a_cache_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    root = Path("/proc/cache") if place == "read-only" else tmp_path / place
    finding = next(finding for finding in examine(Layout(root)) if finding.name == "cache")
    assert not finding.ok
    assert "FACTORY_CACHE" in finding.mend


def test_doctor_accepts_a_cache_that_is_not_made_yet(tmp_path: Path) -> None:
    finding = next(finding for finding in examine(Layout(tmp_path / "new/cache")) if finding.name == "cache")
    assert (finding.ok, list(tmp_path.iterdir())) == (True, [])
