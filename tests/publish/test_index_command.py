from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from factory.commands import index
from factory.commands.index import default_ledger
from factory.errors import StoreError
from factory.publish.ledger import Ledger, Mirrored
from factory.publish.wheels import describe_wheel
from tests.publish.wheelmaker import make_wheel


def run_index(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    index.configure(parser)
    return index.run(parser.parse_args(arguments))


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    mirrored = make_wheel(tmp_path / "cache/mirror", "needed")
    Ledger(tmp_path / "ledger").add(describe_wheel(mirrored, Mirrored()))
    return tmp_path / "out"


def test_the_table_and_the_lines_to_paste_are_printed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_index("--output", str(output), "--ledger", str(output.parent / "ledger")) == 0
    shown = capsys.readouterr().out
    assert "needed-1.0-py3-none-any.whl" in shown
    assert f"1 files, 0 new, in {output}" in shown
    assert f"pip install --index-url {(output / 'simple').as_uri()} NAME" in shown


def test_a_program_gets_json(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_index("--output", str(output), "--ledger", str(output.parent / "ledger"), "--json")
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["filename"], entry["origin"], entry["new"]) == ("needed-1.0-py3-none-any.whl", "mirrored", False)


def test_what_is_published_is_on_the_pages_even_where_reports_cannot_be_written(output: Path) -> None:
    failures = output.parent / "cache/store/failures"
    failures.mkdir(parents=True)
    (failures / "needed-3.13.json").write_text("{")
    with pytest.raises(StoreError, match=r"needed-3\.13\.json is damaged"):
        run_index("--output", str(output), "--ledger", str(output.parent / "ledger"))
    assert "needed-1.0-py3-none-any.whl" in (output / "simple/needed/index.html").read_text()


def test_the_ledger_is_the_checkouts_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert default_ledger(Path("out")) == Path("out/ledger")
    (tmp_path / "index/ledger").mkdir(parents=True)
    assert default_ledger(Path("out")) == tmp_path / "index/ledger"
