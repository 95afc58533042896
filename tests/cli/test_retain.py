"""Tests of retention, from the command to the listed files."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from packaging.version import Version

from factory.cli.main import main
from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.release import Mirrored
from tests.support.wheelmaker import make_wheel, release_of


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Make a ledger with builds of demo 1.0, 1.9 and 1.10, and a mirrored project."""
    folder = tmp_path / "ledger"
    for version, build in (("1.0", ""), ("1.0", "2"), ("1.0", "10"), ("1.10", ""), ("1.9", "")):
        Ledger(folder).add(release_of(make_wheel(tmp_path, "demo", version, build=build)))
    for version in ("1.0", "2.0"):
        Ledger(folder).add(replace(release_of(make_wheel(tmp_path, "needed", version)), origin=Mirrored()))
    return folder


def unlisted(ledger: Path) -> list[str]:
    return [
        release.filename.removesuffix("-py3-none-any.whl") for release in Ledger(ledger).read() if not release.listed
    ]


def test_only_the_newest_builds_of_what_we_build_are_listed(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retain", "--builds", "1", "--ledger", str(ledger)]) == 0
    assert unlisted(ledger) == ["demo-1.0-2", "demo-1.0"]
    assert "demo-1.0-2-py3-none-any.whl: no longer listed\n" in capsys.readouterr().out
    assert main(["retain", "Demo", "--builds", "2", "--ledger", str(ledger)]) == 0
    assert unlisted(ledger) == ["demo-1.0"]
    assert "demo-1.0-2-py3-none-any.whl: listed\n" in capsys.readouterr().out
    assert main(["retain", "--builds", "2", "--ledger", str(ledger)]) == 0
    assert capsys.readouterr().out == "no change\n"


def test_old_versions_leave_the_listing_where_that_is_asked_for(ledger: Path) -> None:
    main(["retain", "--builds", "3", "--versions", "2", "--ledger", str(ledger)])
    assert unlisted(ledger) == ["demo-1.0-10", "demo-1.0-2", "demo-1.0"]


def test_retain_does_not_count_versions_installers_skip(ledger: Path, tmp_path: Path) -> None:
    Ledger(ledger).add(release_of(make_wheel(tmp_path, "demo", "2.0rc1")))
    Ledger(ledger).set_yanked("demo", Version("1.10"), "wrong sums")
    main(["retain", "--builds", "3", "--versions", "1", "--ledger", str(ledger)])
    assert unlisted(ledger) == ["demo-1.0-10", "demo-1.0-2", "demo-1.0"]


def test_retain_unknown_project_lists_built_projects(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retain", "dome", "--builds", "1", "--ledger", str(ledger)]) == PublishError.exit_code
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("factory: dome: not in the ledger")
    assert hint.endswith(": demo")


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_at_least_one_build_is_listed(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["retain", f"--builds={number}"])
    assert "is not a whole number of at least 1" in capsys.readouterr().err
