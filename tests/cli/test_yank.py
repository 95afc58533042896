"""Tests of yanking, from the command to pip."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.main import main
from factory.errors import PublishError
from factory.publish.ledger import Ledger
from tests.support.wheelmaker import make_wheel, release_of


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Make a ledger with two files of demo 1.0 and one of demo 1.1."""
    folder = tmp_path / "ledger"
    for version, build in (("1.0", ""), ("1.0", "1"), ("1.1", "")):
        Ledger(folder).add(release_of(make_wheel(tmp_path, "demo", version, build=build)))
    return folder


def states(ledger: Path) -> dict[str, str | None]:
    return {release.filename: release.yanked for release in Ledger(ledger).read()}


def test_every_file_of_the_version_is_yanked_and_unyanked(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = states(ledger)
    assert main(["yank", "Demo==1", "--reason", "wrong  sums", "--ledger", str(ledger)]) == 0
    assert states(ledger) == {
        "demo-1.0-1-py3-none-any.whl": "wrong sums",
        "demo-1.0-py3-none-any.whl": "wrong sums",
        "demo-1.1-py3-none-any.whl": None,
    }
    assert "demo-1.0-1-py3-none-any.whl: yanked: wrong sums\n" in capsys.readouterr().out
    assert main(["unyank", "demo==1.0", "--ledger", str(ledger)]) == 0
    assert states(ledger) == before
    assert "demo-1.0-py3-none-any.whl: no longer yanked\n" in capsys.readouterr().out


def test_yank_again_reports_no_change(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        main(["yank", "demo==1.1", "--reason", "x", "--ledger", str(ledger)])
    assert capsys.readouterr().out.endswith("demo 1.1: no change\n")


def test_yank_unpublished_version_lists_published(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["yank", "demo==2", "--reason", "x", "--ledger", str(ledger)]) == PublishError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "factory: demo 2: not published"
    assert hint.endswith(": 1.0, 1.1")
    assert main(["unyank", "dome==1.0", "--ledger", str(ledger)]) == PublishError.exit_code
    assert "no project dome" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["demo", "demo>=1", "demo==1.*", "demo===1", "demo==1,==2", "../x==1", ""])
def test_only_one_exact_version_can_be_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["yank", text, "--reason", "x"])
    assert f"{text!r} is not NAME==VERSION" in capsys.readouterr().err


def test_a_reason_can_not_be_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["yank", "demo==1.0", "--reason", " "])
    assert "empty reason" in capsys.readouterr().err
