"""Deterministic and incremental writing of pages, and repair of damaged output."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

import factory
from factory.errors import PublishError
from factory.publish.failures import write_failures
from factory.publish.ledger import Ledger
from factory.publish.output_folder import STATE_FILE
from factory.publish.simple_api import simple_pages
from factory.site import writer
from factory.site.projects import Project, load_project
from factory.site.verify import page_differences
from factory.site.writer import write_site
from tests.support.ledgers import ALPHA_NEXT, PURE, make_ledger, release
from tests.support.waiting import settle
from tests.support.wheelmaker import tree_of

BETA = "beta-1.0-cp313-cp313-manylinux_2_38_riscv64.whl"


def written(ledger: Ledger, out: Path) -> set[str]:
    return set(write_site(ledger, out))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return make_ledger(tmp_path)


def test_site_of_same_ledger_has_same_bytes(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path / "one")
    settle(tmp_path)
    write_site(ledger, tmp_path / "two")
    one, two = tree_of(tmp_path / "one"), tree_of(tmp_path / "two")
    del one[STATE_FILE], two[STATE_FILE]
    assert one == two


def test_site_of_several_processes_has_same_bytes(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        ledger.add(release(f"more_{number}-1.0-py3-none-any.whl"))
    write_site(ledger, tmp_path / "one")
    force_processes(monkeypatch)
    write_site(ledger, tmp_path / "two")
    one, two = tree_of(tmp_path / "one"), tree_of(tmp_path / "two")
    del one[STATE_FILE], two[STATE_FILE]
    assert one == two


@pytest.mark.parametrize("filename", [ALPHA_NEXT, PURE])
def test_damaged_ledger_in_any_process_is_reported(
    filename: str, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ledger.folder / release(filename).project / f"{filename}.json").write_text("{")
    force_processes(monkeypatch)
    with pytest.raises(PublishError, match=re.escape(f"{filename}.json: ledger entry is damaged")):
        write_site(ledger, tmp_path / "out")


def force_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make processes take single projects, however few there are."""
    monkeypatch.setattr(writer, "PARALLEL_FROM", 1)
    monkeypatch.setattr(writer, "CHUNK", 1)


def test_simple_pages_agree_with_simple_api(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    for path, text in simple_pages(ledger.read(), tmp_path).items():
        assert path.read_text() == text


def test_new_wheel_rewrites_its_project_and_overview(ledger: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_site(ledger, out)
    settle(tmp_path)
    assert written(ledger, out) == set()
    ledger.add(release(BETA))
    names = written(ledger, out)
    assert "project/beta/1.0.html" in names
    assert "index.html" in names
    assert [name for name in names if "alpha" in name] == []


def test_unchanged_project_is_not_read(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(tmp_path)
    write_site(ledger, tmp_path)
    settle(tmp_path)
    write_site(ledger, tmp_path)
    settle(tmp_path)
    ledger.update([replace(release(ALPHA_NEXT), yanked="no")])
    read: list[str] = []

    def load_and_note(ledger: Ledger, name: str) -> Project:
        read.append(name)
        return load_project(ledger, name)

    monkeypatch.setattr(writer, "load_project", load_and_note)
    write_site(ledger, tmp_path)
    assert read == ["alpha"]


def test_removed_page_is_written_again(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    settle(tmp_path)
    for name in ("project/alpha/1.0.html", "simple/plain-text/index.html", "boards/k1.html"):
        (tmp_path / name).unlink()
        assert name in written(ledger, tmp_path)
        assert (tmp_path / name).is_file()


def test_damaged_state_file_changes_no_page(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    for text in ("", "{}", '{"format": 1, "state": 3}', '{"format": 1, "state": {"made_by": "x", "projects": []}}'):
        (tmp_path / STATE_FILE).write_text(text)
        assert written(ledger, tmp_path) == set()


def test_changed_settings_rewrite_every_page(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    settle(tmp_path)
    (ledger.folder.parent / "site.toml").write_text('title = "Wheels of ours"\n')
    assert {"project/alpha/1.0.html", "index.html"} <= written(ledger, tmp_path)


@pytest.mark.parametrize("module", ["publish/reports.py", "model.py", "site/templates/wheel.html"])
def test_changed_program_rewrites_every_page(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    program = Path(shutil.copytree(Path(factory.__file__).parent, tmp_path / "program"))
    monkeypatch.setattr(factory, "__file__", str(program / "__init__.py"))
    out, name = tmp_path / "out", "project/alpha/1.0.html"
    for _ in range(2):
        settle(tmp_path)
        write_site(ledger, out)
    settle(tmp_path)
    (out / name).write_text("written without rename, so the folder's time stays")
    assert written(ledger, out) == set()
    with (program / module).open("a") as file:
        file.write("\n")
    assert written(ledger, out) == {name}


def test_pages_of_unpublished_project_go_with_failure(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    assert (tmp_path / "project/broken/index.html").is_file()
    write_failures(ledger.folder, (), {("broken", "3.13"): "2026-03-05T00:00:00+00:00"})
    write_site(ledger, tmp_path)
    assert not (tmp_path / "project/broken").exists()
    assert page_differences(ledger, tmp_path) == ()


def test_pages_of_fixed_failure_go_without_state_file(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    write_failures(ledger.folder, (), {("broken", "3.13"): "2026-03-05T00:00:00+00:00"})
    (tmp_path / STATE_FILE).unlink()
    write_site(ledger, tmp_path)
    assert not (tmp_path / "project/broken").exists()


def test_page_differences_lists_missing_changed_unknown(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    assert page_differences(ledger, tmp_path) == ()
    (tmp_path / "index.html").write_text("Welcome")
    (tmp_path / "project/alpha/1.0.html").unlink()
    (tmp_path / "project/alpha/stray.html").write_text("")
    assert page_differences(ledger, tmp_path) == (
        "project/alpha/1.0.html: missing",
        "index.html: differs from the ledger",
        "project/alpha/stray.html: not a page of the ledger",
    )


def test_old_sitemaps_are_removed_and_other_files_kept(ledger: Ledger, tmp_path: Path) -> None:
    settings, out = ledger.folder.parent / "site.toml", tmp_path / "out"
    settings.write_text('url = "https://wheels.example/riscv/"\n')
    write_site(ledger, out)
    (out / "sitemap-2.xml").write_text("left from more addresses")
    assert page_differences(ledger, out) == ("sitemap-2.xml: not a page of the ledger",)
    assert written(ledger, out) == {"sitemap-2.xml"}
    others = [out / name for name in ("robots.txt", "CNAME", ".nojekyll", "sitemap-of-ours.txt")]
    for path in others:
        path.touch()
    (out / "sitemap-3.xml").mkdir()
    assert page_differences(ledger, out) == ()
    settings.unlink()
    assert "sitemap.xml" in written(ledger, out)
    assert not (out / "sitemap.xml").exists()
    assert all(path.exists() for path in (*others, out / "sitemap-3.xml"))
    assert page_differences(ledger, out) == ()


def test_unknown_page_in_top_folder_is_reported_and_kept(ledger: Ledger, tmp_path: Path) -> None:
    write_site(ledger, tmp_path)
    strange = ("Planted.HTML", "evil.html", "news.xml", "sitemap-x.xml")
    for name in strange:
        (tmp_path / name).touch()
    write_site(ledger, tmp_path)
    assert page_differences(ledger, tmp_path) == tuple(f"{name}: not a page of the ledger" for name in strange)
