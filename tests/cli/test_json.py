"""JSON of commands that change the ledger, the cache or a lock file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.publish.ledger import Ledger
from tests.support.wheelmaker import make_wheel, release_of


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a ledger with one release, and an empty cache."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/logs").mkdir(parents=True)
    Ledger(tmp_path / "ledger").add(release_of(make_wheel(tmp_path, "demo")))
    return tmp_path / "ledger"


def answer(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> object:
    """Run a command with --json; all of its standard output is one value."""
    assert main([*words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_changes_of_releases_are_json(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--ledger", str(ledger))
    for command, yanked in ((("yank", "demo==1.0", "--reason", "wrong"), "wrong"), (("unyank", "demo==1.0"), None)):
        changed = answer(capsys, *command, *where)
        assert isinstance(changed, list)
        assert [(each["filename"], each["yanked"]) for each in changed] == [("demo-1.0-py3-none-any.whl", yanked)]
        assert answer(capsys, *command, *where) == []
    assert answer(capsys, "retain", "--builds", "1", *where) == []
    assert answer(capsys, "refresh", "--ledger", str(ledger.parent / "new/ledger")) == []


def test_error_of_a_change_is_json(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = answer(capsys, "yank", "none==1", "--reason", "x", "--ledger", str(ledger), status=13)
    assert isinstance(error, dict)
    assert error["error"] == "none 1: not published"


def test_actions_of_the_cache_are_json(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ledger.parent / "cache/logs/some.log").write_text("text")
    exported = ledger.parent / "cache.tar.zst"
    assert answer(capsys, "cache", "info") == {
        "path": str(ledger.parent / "cache"),
        "folders": [{"folder": "logs", "size": 4096, "whole": True}],
        "builds": [],
        "ccache": None,
    }
    written = answer(capsys, "cache", "export", str(exported))
    assert written == {"file": str(exported), "items": 1, "size": exported.stat().st_size}
    assert answer(capsys, "cache", "import", str(exported)) == [
        {"file": "cache.tar.zst", "area": "logs", "added": 0, "kept": 1}
    ]
    assert answer(capsys, "cache", "prune") == {"removed": 0}
