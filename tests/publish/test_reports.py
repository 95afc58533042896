"""Reports and failures in the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from factory.errors import PublishError
from factory.model.artifacts import AppliedPatch, PackagePin
from factory.model.record import BuildRecord, CheckResult
from factory.publish.failures import read_failures, write_failures
from factory.publish.reports import Contents, WheelReport, build_of, read_reports, report_path, write_report
from factory.publish.wheel_metadata import read_summary
from tests.support.records import FAILURE, record
from tests.support.wheelmaker import write_zip

EMPTY = Contents(libraries=0, glibc=None, dispatched=(), system_libraries=())


def with_words(folder: Path, *lines: str) -> Path:
    text = "\n".join(["Metadata-Version: 2.4", "Name: demo", "Version: 1.0", *lines]) + "\n"
    return write_zip(folder / "demo-1.0-py3-none-any.whl", {"demo-1.0.dist-info/METADATA": text})


def made() -> BuildRecord:
    return replace(
        record(),
        patches=(AppliedPatch(name="0001-a.patch", sha256="0" * 64, upstream_status="Pending"),),
        requirements=(PackagePin(name="setuptools", version="80.0"),),
    )


def test_report_round_trip(tmp_path: Path) -> None:
    report = WheelReport(filename="demo-1.0-py3-none-any.whl", summary="A demo", license="MIT")
    assert write_report(tmp_path, "demo", structs.replace(report, build=build_of([made()], EMPTY)))
    (read,) = read_reports(tmp_path, "demo").values()
    assert read.build is not None
    assert (read.build.requirements, read.build.patches[0].upstream_status) == (("setuptools==80.0",), "Pending")
    assert not write_report(tmp_path, "demo", read)


def test_build_combines_checks_of_all_pythons() -> None:
    check = CheckResult(profile="rv64gc", passed=True, seconds=2.0, shown="Paris", facts={}, python="3.14")
    further = replace(record("f" * 64), wheel_of=made().key, checks=(check,))
    build = build_of([made(), further], EMPTY)
    assert build.record == made().key
    assert [(each.python, each.profile) for each in build.checks] == [("3.13", "rv64gc"), ("3.14", "rv64gc")]


def test_damaged_report_names_file_and_command(tmp_path: Path) -> None:
    path = report_path(tmp_path, "demo", "demo-1.0-py3-none-any.whl")
    path.parent.mkdir(parents=True)
    for text in ("{", "[]", '{"filename": "x"}', '{"filename": "x", "summary": "", "license": "", "build": 3}'):
        path.write_text(text)
        with pytest.raises(PublishError, match=r"demo-1\.0-py3-none-any\.whl\.json: ledger file is damaged") as caught:
            read_reports(tmp_path, "demo")
        assert "factory index" in str(caught.value.hint)


def test_failure_is_kept_until_later_success(tmp_path: Path) -> None:
    write_failures(tmp_path, [FAILURE])
    assert read_failures(tmp_path, "demo") == (FAILURE,)
    write_failures(tmp_path, [], {("demo", "3.13"): "2025-12-31T00:00:00+00:00"})
    assert read_failures(tmp_path, "demo") == (FAILURE,)
    write_failures(tmp_path, [], {("demo", "3.13"): "2026-01-02T00:00:00+00:00"})
    assert not (tmp_path / "demo").exists()


def test_failures_in_a_row_keep_the_first_time(tmp_path: Path) -> None:
    later, last = (replace(FAILURE, finished=f"2026-01-0{day}T00:00:00+00:00") for day in (3, 5))
    for failure in (FAILURE, later, later, last):
        write_failures(tmp_path, [failure])
    (found,) = read_failures(tmp_path, "demo")
    assert (found.finished, found.first) == (last.finished, FAILURE.finished)
    write_failures(tmp_path, [replace(last, finished="2026-01-09T00:00:00+00:00")], {("demo", "3.13"): "2026-01-06"})
    (found,) = read_failures(tmp_path, "demo")
    assert found.first == found.finished == "2026-01-09T00:00:00+00:00"


def test_failures_of_two_recipes_share_their_project(tmp_path: Path) -> None:
    repacked = replace(FAILURE, name="demo-debian", project="demo")
    write_failures(tmp_path, [FAILURE, repacked])
    assert read_failures(tmp_path, "demo") == (FAILURE, repacked)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["Summary: Does things", "License-Expression: Apache-2.0"], ("Does things", "Apache-2.0")),
        (["License: MIT License", "  Permission is hereby granted"], ("", "MIT License")),
        (["License: =====", "   Own terms", "  ====="], ("", "Own terms")),
        (["Classifier: License :: OSI Approved :: BSD License"], ("", "BSD License")),
        (["Classifier: Programming Language :: C"], ("", "")),
    ],
)
def test_summary_and_licence_are_one_line_each(lines: list[str], words: tuple[str, str], tmp_path: Path) -> None:
    assert read_summary(with_words(tmp_path, *lines)) == words


def test_long_summary_and_licence_are_truncated(tmp_path: Path) -> None:
    summary, licence = read_summary(with_words(tmp_path, f"Summary: {'x' * 100_000}", f"License: {'y' * 100_000}"))
    assert (len(summary), len(licence), summary[-1]) == (300, 300, "…")
