"""`factory index --verify`: what was published is there, unchanged, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from msgspec.structs import replace
from packaging.version import Version

from factory.cli.main import main
from factory.errors import IndexDiffers, PrerequisiteMissing
from factory.publish.index_files import write_simple
from factory.publish.ledger import Ledger
from factory.publish.ledger_history import find_violations
from factory.publish.release import Release
from factory.publish.reports import Build, Log, WheelReport, write_report
from factory.publish.sbom import write_sboms
from factory.site.writer import write_site
from tests.support.ledgers import build
from tests.support.upstream import Upstream
from tests.support.waiting import settle
from tests.support.wheelmaker import make_wheel, release_of


class Index:
    """An index of demo 1.0 and 1.1, whose ledger is kept in git."""

    def __init__(self, folder: Path) -> None:
        self.output, self.ledger = folder / "out", folder / "repository/index/ledger"
        for version in ("1.0", "1.1"):
            Ledger(self.ledger).add(release_of(make_wheel(folder / "wheels", "demo", version)))
        write_simple(Ledger(self.ledger).read(), lambda release: folder / "wheels" / release.filename, self.output)
        write_site(Ledger(self.ledger), self.output)
        self.entry = self.ledger / "demo/demo-1.0-py3-none-any.whl.json"
        self.wheel = self.output / "files/demo-1.0-py3-none-any.whl"

    def commit(self) -> None:
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main", self.ledger.parents[1]], check=True)
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "x")

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", self.ledger.parents[1], *who, *words], check=True)

    def branch_that_adds(self, version: str) -> Release:
        """Make a branch `other` with one more release, and one more commit on main."""
        self.git("checkout", "--quiet", "-b", "other")
        release = Ledger(self.ledger).add(release_of(make_wheel(self.output.parent / "more", "demo", version)))
        self.commit()
        self.git("checkout", "--quiet", "main")
        Ledger(self.ledger).set_yanked("demo", Version("1.1"), "x")
        self.commit()
        return release

    def past(self) -> tuple[str, ...]:
        return find_violations(self.ledger, Ledger(self.ledger).read())

    def verify(self, *options: str) -> int:
        return main(["index", "--verify", "--output", str(self.output), "--ledger", str(self.ledger), *options])


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


def test_an_index_as_it_was_written_is_right(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    assert index.verify() == 0
    shown = capsys.readouterr().out
    assert f"2 files and all pages in {index.output} match the ledger" in shown
    assert "not in a git repository" in shown
    index.commit()
    assert index.verify() == 0
    assert "no committed entry" in capsys.readouterr().out


def test_what_no_commit_has_is_not_said_to_be_known(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    (index.ledger.parents[1] / ".gitignore").write_text("/index/\n")
    index.commit()
    assert index.verify() == 0
    assert "not in a git repository" in capsys.readouterr().out
    (index.ledger.parents[1] / ".gitignore").unlink()
    index.entry.rename(index.output.parent / "later")
    index.commit()
    (index.output.parent / "later").rename(index.entry)
    assert index.verify() == 0
    assert f"not committed yet: 1 entry: commit {index.ledger}" in capsys.readouterr().out


def test_changed_files_are_restored_with_force(index: Index) -> None:
    write_report(
        index.ledger, "demo", WheelReport(filename=index.wheel.name, summary="", license="", build=build(logs=()))
    )
    pages = ["index", "--pages-only", "--output", str(index.output), "--ledger", str(index.ledger)]
    assert main(pages) == 0
    sbom = index.wheel.with_name(f"{index.wheel.name}.cdx.json")
    settle(index.output.parent)
    for path in (index.output / "project/demo/1.0.html", sbom):
        path.write_text("not by rename, which nobody sees")
    assert main(pages) == 0
    assert index.verify() == IndexDiffers.exit_code
    assert main([*pages, "--force"]) == 0
    assert index.verify() == 0


def test_pages_of_versions_that_are_not_listed_any_more_go(index: Index) -> None:
    page = index.output / "project/demo/1.0.html"
    left = index.output / "project/demo/.1.0.html.1-1.tmp"
    left.write_text("left by a run that was killed")
    Ledger(index.ledger).update([replace(release, listed=False) for release in Ledger(index.ledger).read()[:1]])
    assert page.is_file()
    write_site(Ledger(index.ledger), index.output)
    assert not page.exists()
    assert not left.exists()
    assert index.verify() == 0


def test_verify_waits_for_a_working_publisher(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.verify() == 0  # all that it imports is there
    begun, waiting = threading.Event(), threading.Event()
    acquire = FileLock.acquire

    def acquire_and_note(lock: FileLock, *arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            waiting.set()
        return acquire(lock, *arguments, **options)

    def publish() -> None:
        ledger = Ledger(index.ledger)
        with ledger.locked():
            release = release_of(make_wheel(index.output / "files", "demo", "1.2"))
            begun.set()
            assert waiting.wait(60)
            ledger.add(release)
            write_simple(ledger.read(), lambda each: index.output / "files" / each.filename, index.output)
            write_site(ledger, index.output)

    monkeypatch.setattr(FileLock, "acquire", acquire_and_note)
    with ThreadPoolExecutor() as pool:
        publisher = pool.submit(publish)
        assert begun.wait(60)
        assert index.verify() == 0
        publisher.result()


def test_verify_reads_read_only_ledger_without_lock(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", read_only(index.ledger))  # root, who runs tests too, is refused nothing
        with Ledger(index.ledger).locked():
            assert index.verify() == 0
    (index.ledger / ".lock").unlink()
    monkeypatch.setattr(os, "access", read_only(index.ledger))
    assert index.verify() == 0
    assert not (index.ledger / ".lock").exists()


def read_only(folder: Path) -> Callable[[Path | str, int], bool]:
    return lambda path, mode: not (mode & os.W_OK and Path(path).is_relative_to(folder))


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert main(["index", "--verify", "--output", str(tmp_path), "--ledger", str(tmp_path / "none")]) != 0
    assert not (tmp_path / "none").exists()


def test_files_elsewhere_are_looked_at_where_that_is_asked_for(
    index: Index, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = upstream.add("needed")
    linked = replace(release_of(wheel), url=f"{upstream.url}/files/{wheel.name}")
    Ledger(index.ledger).add(linked)
    write_site(Ledger(index.ledger), index.output)
    assert index.verify() == 0
    assert "1 linked file: not verified: add --check-links" in capsys.readouterr().out
    assert index.verify("--check-links") == 0
    assert "1 linked file: compared with the ledger" in capsys.readouterr().out
    (upstream.folder / "out/files" / f"{wheel.name}.metadata").unlink()
    assert index.verify() == 0
    assert index.verify("--check-links") == IndexDiffers.exit_code
    assert f"\n  {linked.url}.metadata: cannot fetch it: 404" in capsys.readouterr().err


def test_verify_names_missing_and_foreign_sboms(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    filename = index.wheel.name
    write_report(index.ledger, "demo", WheelReport(filename=filename, summary="", license="", build=build(logs=())))
    write_site(Ledger(index.ledger), index.output)
    assert index.verify() == IndexDiffers.exit_code
    assert f"\n  files/{filename}.cdx.json: missing" in capsys.readouterr().err
    (written,) = write_sboms(Ledger(index.ledger).read(), index.ledger, index.output)
    assert index.verify() == 0
    written.write_text("{}")
    written.with_name("x.whl.cdx.json").touch()
    assert index.verify() == IndexDiffers.exit_code
    shown = capsys.readouterr().err
    assert f"\n  files/{filename}.cdx.json: has sha256" in shown
    assert "\n  files/x.whl.cdx.json: not in the ledger" in shown


def publish_report(index: Index, made: Build) -> None:
    """Write the wheel's report, the pages and the bills of materials."""
    write_report(index.ledger, "demo", WheelReport(filename=index.wheel.name, summary="", license="", build=made))
    write_site(Ledger(index.ledger), index.output)
    write_sboms(Ledger(index.ledger).read(), index.ledger, index.output)


def test_a_log_that_is_missing_or_another_is_named(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(stage="build", python="", sha256=sha256(b"log").hexdigest())
    made = build(logs=(log,))
    publish_report(index, made)
    path = index.output / "files" / f"{index.wheel.name}.build.txt"
    assert index.verify() == IndexDiffers.exit_code
    assert f"\n  files/{path.name}: missing" in capsys.readouterr().err
    path.write_bytes(b"log")
    assert index.verify() == 0
    path.write_bytes(b"another")
    assert index.verify() == IndexDiffers.exit_code
    assert f"\n  files/{path.name}: has sha256" in capsys.readouterr().err


def test_licence_texts_that_are_missing_are_named(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    made = build(logs=(), license_texts=sha256(b"MIT").hexdigest())
    publish_report(index, made)
    path = index.output / "files" / f"{index.wheel.name}.licenses.txt"
    assert index.verify() == IndexDiffers.exit_code
    assert f"\n  files/{path.name}: missing" in capsys.readouterr().err
    path.write_bytes(b"MIT")
    assert index.verify() == 0
    (page,) = index.output.glob("project/demo/1.0.html")
    assert f'<a href="../../files/{path.name}">licence texts</a>' in page.read_text()


def test_every_difference_is_named(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    index.wheel.write_bytes(b"other")
    (index.output / "files/demo-1.1-py3-none-any.whl.metadata").unlink()
    (index.output / "files/stranger-1-py3-none-any.whl").touch()
    (index.output / "simple/demo/index.html").write_text("<a>")
    (index.output / "simple/index.v1+json").unlink()
    (index.output / "simple/stranger").mkdir()
    (index.output / "simple/stranger/index.html").touch()
    assert index.verify() == IndexDiffers.exit_code
    shown = capsys.readouterr().err
    for line in (
        "files/demo-1.0-py3-none-any.whl: has sha256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
        "files/demo-1.1-py3-none-any.whl.metadata: missing",
        "files/stranger-1-py3-none-any.whl: not in the ledger",
        "simple/demo/index.html: differs from the ledger",
        "simple/index.v1+json: missing",
        "simple/stranger/index.html: not a page of the ledger",
    ):
        assert f"\n  {line}" in shown
    assert " factory index --pages-only --force" in shown


@pytest.mark.parametrize("committed", [False, True])
def test_an_entry_that_vanished_is_told_from_the_ledgers_past(
    index: Index, capsys: pytest.CaptureFixture[str], committed: bool
) -> None:
    index.commit()
    index.entry.unlink()
    if committed:
        index.commit()
    assert index.verify() == IndexDiffers.exit_code
    told = "demo-1.0-py3-none-any.whl: published, but no longer in the ledger"
    assert told in capsys.readouterr().err


def test_an_entry_that_changed_its_hash_is_told_with_both(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    index.commit()
    (release, _) = Ledger(index.ledger).read()
    index.entry.write_text(index.entry.read_text().replace(release.sha256, "0" * 64))
    index.commit()
    assert index.verify() == IndexDiffers.exit_code
    told = f"demo-1.0-py3-none-any.whl: published with sha256 {release.sha256}, the ledger now has {'0' * 64}"
    assert told in capsys.readouterr().err


def test_a_merge_of_a_branch_that_adds_and_yanks_is_no_change(index: Index) -> None:
    index.commit()
    index.branch_that_adds("1.2")
    index.git("checkout", "--quiet", "other")
    Ledger(index.ledger).set_yanked("demo", Version("1.0"), "x")
    index.commit()
    index.git("checkout", "--quiet", "main")
    index.git("merge", "--quiet", "--no-edit", "other")
    assert len(Ledger(index.ledger).read()) == 3
    assert index.past() == ()


def test_a_hash_that_a_merge_alone_changes_is_told(index: Index) -> None:
    index.commit()
    index.branch_that_adds("1.2")
    index.git("merge", "--quiet", "--no-edit", "--no-commit", "other")
    (release, *_others) = Ledger(index.ledger).read()
    index.entry.write_text(index.entry.read_text().replace(release.sha256, "0" * 64))
    index.commit()
    told = f"{release.filename}: published with sha256 {release.sha256}, the ledger now has {'0' * 64}"
    assert index.past() == (told,)


def test_an_entry_that_a_merge_leaves_out_is_told(index: Index) -> None:
    index.commit()
    release = index.branch_that_adds("1.2")
    index.git("merge", "--quiet", "--no-edit", "--strategy=ours", "other")
    assert index.past() == (f"{release.filename}: published, but no longer in the ledger",)


def test_verify_reports_name_published_on_two_branches(index: Index) -> None:
    index.commit()
    lost = index.branch_that_adds("1.2")
    other = make_wheel(index.output.parent / "others", "demo", "1.2", code="ANSWER = 43\n")
    kept = Ledger(index.ledger).add(release_of(other))
    index.commit()
    index.git("merge", "--quiet", "--no-edit", "--strategy-option=ours", "other")
    told = f"{kept.filename}: published with sha256 {lost.sha256}, the ledger now has {kept.sha256}"
    assert index.past() == (told,)


def test_an_entry_that_came_with_a_merge_alone_can_be_yanked(index: Index) -> None:
    index.commit()
    index.branch_that_adds("1.2")
    index.git("merge", "--quiet", "--no-edit", "--no-commit", "other")
    Ledger(index.ledger).add(release_of(make_wheel(index.output.parent / "more", "demo", "1.3")))
    index.commit()
    Ledger(index.ledger).set_yanked("demo", Version("1.3"), "x")
    index.commit()
    assert index.past() == ()


def test_a_clone_without_the_older_commits_proves_nothing(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.commit()
    index.entry.write_text(index.entry.read_text() + " ")
    index.commit()
    origin, clone = index.ledger.parents[1], tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", origin.as_uri(), clone], check=True)
    index.ledger = clone / "index/ledger"
    assert index.verify() == PrerequisiteMissing.exit_code
    shown = capsys.readouterr().err
    assert f"{index.ledger}: cannot read the ledger's history" in shown
    assert " git fetch --unshallow\n" in shown
    index.git("fetch", "--quiet", "--unshallow")
    assert index.verify() == 0


def test_a_yank_is_no_change(index: Index) -> None:
    index.commit()
    main(["yank", "demo==1.0", "--reason", "x", "--ledger", str(index.ledger)])
    index.commit()
    assert index.verify() == IndexDiffers.exit_code  # the pages don't have it yet
    write_simple(Ledger(index.ledger).read(), lambda release: index.output / "files" / release.filename, index.output)
    write_site(Ledger(index.ledger), index.output)
    assert index.verify() == 0
