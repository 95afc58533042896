"""Tests of output folders: no index is written over other people's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.cli.commands.index import write_from_ledger
from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.output_folder import STATE_FILE, claim
from tests.support.wheelmaker import make_wheel, release_of, tree_of


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Make a ledger with one release."""
    ledger = Ledger(tmp_path / "ledger")
    ledger.add(release_of(make_wheel(tmp_path / "store", "demo")))
    return ledger


@pytest.mark.parametrize(
    "name",
    [
        *("simple/mine/index.html", "project/mine/notes.txt", "builds/mine", "boards/mine", "coverage/mine"),
        *("feed.xml", "index.html", "files/mine.whl", ".hidden", "ledger/other/x.json"),
    ],
)
def test_index_in_a_foreign_folder_removes_nothing(tmp_path: Path, ledger: Ledger, name: str) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    before = tree_of(out)
    with pytest.raises(PublishError, match=f"{out}: not an index, and not empty: it has") as caught:
        write_from_ledger(ledger, out)
    assert f"touch {out / STATE_FILE}" in str(caught.value.hint)
    assert "--output DIR" in str(caught.value.hint)
    assert "\n" not in caught.value.message
    assert tree_of(out) == before


def test_index_hint_makes_a_folder_an_index(tmp_path: Path, ledger: Ledger) -> None:
    out = tmp_path / "out"
    (out / "simple/unlisted").mkdir(parents=True)
    (out / "simple/unlisted/index.html").write_text("of an index of before")
    (out / STATE_FILE).touch()
    write_from_ledger(ledger, out)
    assert (out / "simple/demo/index.html").is_file()
    assert not (out / "simple/unlisted").exists()


@pytest.mark.parametrize("folder", ["missing", "empty", "interrupted", "without hidden files", "with its ledger"])
def test_index_folder_is_written_again(tmp_path: Path, ledger: Ledger, folder: str) -> None:
    out = tmp_path / "out"
    if folder == "empty":
        out.mkdir()
    if folder == "interrupted":
        (out / "files").mkdir(parents=True)
        for name in ("", ".metadata", ".provenance"):
            (out / f"files/demo-1.0-py3-none-any.whl{name}").write_text("file")
        (out / "files/.demo-1.0-py3-none-any.whl.12.link").write_text("file")
    if folder == "without hidden files":
        write_from_ledger(ledger, out)
        (out / STATE_FILE).unlink()
    if folder == "with its ledger":
        ledger.folder.rename(ledger.folder.parent / "moved")
        out.mkdir()
        ledger = Ledger((ledger.folder.parent / "moved").rename(out / "ledger"))
    write_from_ledger(ledger, out)
    assert (out / "simple/demo/index.html").is_file()
    write_from_ledger(ledger, out)


def test_claim_comes_before_pages(tmp_path: Path, ledger: Ledger) -> None:
    """A run that is killed before its pages are complete is resumed in the same folder."""
    claim(tmp_path / "out", ledger)
    (tmp_path / "out/simple").mkdir()
    claim(tmp_path / "out", ledger)
    write_from_ledger(ledger, tmp_path / "out")
