"""Logs of builds and checks, beside the wheels that they made."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from factory.model.record import BuildRecord, StageRun
from factory.publish import logs
from factory.publish.logs import clean_log, log_name, write_logs
from factory.publish.reports import Log
from factory.util.paths import short
from tests.support.records import record

WHEEL = "demo-1.0-py3-none-any.whl"
KEY, FURTHER = "a" * 64, "b" * 64
TEXT = "[1/2] Building demo.o\n# exit 0 after 2.0 s\n"


def logged(cache: Path, key: str = KEY, *, python: str = "3.13", stages: tuple[str, ...] = ("build",)) -> BuildRecord:
    """Make a record with one log per stage."""
    made = record(key)
    runs = []
    for stage in stages:
        log = cache / "logs/demo-1.0" / short(key) / f"{stage}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(TEXT)
        runs.append(StageRun(stage=stage, seconds=1.0, commands=(), log=log))
    return replace(made, stages=tuple(runs), target=replace(made.target, python=python))


def write(cache: Path, *records: BuildRecord, known: tuple[Log, ...] = ()) -> tuple[Log, ...]:
    return write_logs(WHEEL, records, known, cache / "files", cache)


def test_the_logs_of_build_and_checks_lie_beside_the_wheel(tmp_path: Path) -> None:
    made = logged(tmp_path, stages=("source", "build", "check"))
    further = replace(logged(tmp_path, FURTHER, python="3.14", stages=("check",)), wheel_of=KEY)
    further = replace(further, stages=(made.stages[1], *further.stages))
    written = write(tmp_path, made, further)
    names = [f"{WHEEL}.build.txt", f"{WHEEL}.check-3.13.txt", f"{WHEEL}.check-3.14.txt"]
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == names
    assert [log_name(WHEEL, log) for log in written] == names
    assert {log.sha256 for log in written} == {hashlib.sha256(TEXT.encode()).hexdigest()}


def test_log_shared_with_other_builds_is_not_published(tmp_path: Path) -> None:
    made = logged(tmp_path)
    shared = tmp_path / "logs/demo-1.0/build.log"
    shared.write_text(TEXT)
    assert write(tmp_path, replace(made, stages=(replace(made.stages[0], log=shared),))) == ()


@pytest.mark.parametrize("how", ["path", "link", "dots"])
def test_other_file_of_the_machine_is_not_published_as_log(tmp_path: Path, how: str) -> None:
    """A record of another machine may name any file, and the key that its folder has to have."""
    secret = tmp_path / "home" / short(KEY) / "credentials"
    secret.parent.mkdir(parents=True)
    secret.write_text("a secret of the job that publishes\n")
    made = logged(tmp_path / "cache")
    (stage,) = made.stages
    if how == "path":
        made = replace(made, stages=(replace(stage, log=secret),))
    elif how == "dots":
        odd = tmp_path / "cache/logs/../../home" / short(KEY) / "credentials"
        made = replace(made, stages=(replace(stage, log=odd),))
    else:
        stage.log.unlink()
        stage.log.symlink_to(secret)
    assert write(tmp_path / "cache", made) == ()
    assert not (tmp_path / "cache/files").exists()


def test_log_stays_after_its_store_is_gone(tmp_path: Path) -> None:
    known = write(tmp_path, logged(tmp_path))
    assert write(tmp_path, known=known) == known


def test_a_log_that_is_gone_is_no_longer_listed(tmp_path: Path) -> None:
    known = write(tmp_path, logged(tmp_path))
    (tmp_path / "files" / log_name(WHEEL, known[0])).unlink()
    assert write(tmp_path, known=known) == ()


def test_changed_log_is_restored_or_removed_with_force(tmp_path: Path) -> None:
    made = logged(tmp_path)
    (known,) = write(tmp_path, made)
    path = tmp_path / "files" / log_name(WHEEL, known)
    path.write_text("another text")
    assert write_logs(WHEEL, [made], [known], tmp_path / "files", tmp_path, force=True) == (known,)
    assert path.read_text() == TEXT
    path.write_text("another text")
    assert write_logs(WHEEL, [], [known], tmp_path / "files", tmp_path, force=True) == ()
    assert not path.exists()


def test_a_build_that_went_on_renews_its_log(tmp_path: Path) -> None:
    made = logged(tmp_path)
    before = write(tmp_path, made)
    made.stages[0].log.write_text(TEXT + "more\n")
    (after,) = write(tmp_path, made, known=before)
    assert after.sha256 == hashlib.sha256(f"{TEXT}more\n".encode()).hexdigest()


def test_published_log_has_no_credentials_and_controls(tmp_path: Path) -> None:
    text = (
        f"$ cc -c {tmp_path}/jobs/x.c\n"
        "Looking in indexes: https://user:secret@wheels.example/simple\n"
        "\x1b[31merror\x1b[0m: no\r\n 10 %\r 100 %\r done\nfoo\u202ebar\x07\n"
    )
    assert clean_log(text, tmp_path) == (
        "$ cc -c $FACTORY_CACHE/jobs/x.c\n"
        "Looking in indexes: https://wheels.example/simple\n"
        "error: no\n done\nfoo\ufffdbar\ufffd\n"
    )


def test_of_a_very_long_log_the_middle_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_CHARACTERS", 10)
    monkeypatch.setattr(logs, "HEAD_CHARACTERS", 4)
    assert clean_log("begin-middle-finish", Path("/cache")) == "begi\n[9 characters are left out here]\nfinish"
