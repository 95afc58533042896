"""`factory release`, against a stand-in of GitHub's API that checks each request."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.host import github
from factory.model.artifacts import RepairedWheel
from factory.publish.ledger import Ledger
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.checkouts import add_recipe
from tests.support.github_server import REPOSITORY, TOKEN, GitHubState, github_served
from tests.support.records import record
from tests.support.wheelmaker import add_provenance, make_wheel

pytestmark = [
    pytest.mark.usefixtures("upstream"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the store is root's: an ordinary user's command starts itself again"),
]
Release = Callable[..., tuple[int, str]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubState]:
    monkeypatch.setattr(github, "WRITE_SECONDS", 0.0)
    with github_served() as state:
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_API_URL", state.url)
        yield state
        assert state.violations == []


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Release:
    """Run the command in this process and return its status and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("FACTORY_GITHUB_TOKEN", TOKEN)
        where = ["--output", str(tmp_path / "out"), "--ledger", str(tmp_path / "ledger")]
        status = main(["release", *arguments, *where])
        return status, "".join(capsys.readouterr())

    return run


def built(folder: Path, name: str, *, code: str = "ANSWER = 42\n", provenance: bool = False) -> Path:
    """Make a wheel with a recipe and a record in the store."""
    if not (folder / "recipes" / name).exists():
        add_recipe(folder, name, more="", smoke="")
    path = make_wheel(folder / "wheels", name, code=code)
    kept = replace(record(sha256_of(path)), name=name)
    store = Store(folder / "cache/store")
    store.add(kept, RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("any",)))
    stored = store.wheel_path(replace(kept, wheel=path.name, wheel_sha256=sha256_of(path)))
    if provenance:
        add_provenance(stored)
    return stored


def test_wheel_is_a_file_of_its_versions_release(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    wheel = built(tmp_path, "demo", provenance=True)
    status, shown = release()
    assert status == 0, shown
    assert hub.names("demo-1.0") == sorted(f"{wheel.name}{ending}" for ending in ("", ".metadata", ".provenance"))
    (entry,) = Ledger(tmp_path / "ledger").read()
    assert entry.url == f"{hub.url}/download/demo-1.0/{wheel.name}"
    assert entry.metadata_sha256 is not None
    assert entry.provenance_url == f"{entry.url}.provenance"
    assert entry.url in (tmp_path / "out/simple/demo/index.html").read_text()
    assert not (tmp_path / "out/files" / wheel.name).exists()
    assert "FACTORY_GITHUB_TOKEN" not in os.environ


def test_second_release_uploads_nothing(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    built(tmp_path, "demo")
    release()
    hub.requests.clear()
    assert release()[0] == 0
    assert [request for request in hub.requests if request[0] != "GET"] == []


def test_interrupted_release_is_completed(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    """GitHub keeps the name of a file whose upload broke off."""
    wheel = built(tmp_path, "demo")
    hub.fail("POST", "assets", 502)
    status, shown = release()
    assert (status, "502 made to fail" in shown) == (13, True)
    release_id = hub.releases["demo-1.0"]["id"]
    hub.files[9] = {"id": 9, "release": release_id, "name": wheel.name, "state": "starter", "size": 0, "digest": None}
    assert release()[0] == 0
    assert hub.files[max(hub.files)]["name"] == wheel.name


def test_wheel_that_cannot_be_uploaded_holds_back_none(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    for name in ("aaa", "bbb", "ccc"):
        built(tmp_path, name)
    hub.fail("POST", "releases", 403)
    status, shown = release()
    assert status == 13
    assert "factory: GitHub: POST /repos/owner/factory/releases: 403 made to fail" in shown
    assert len(Ledger(tmp_path / "ledger").read()) == 2
    assert release()[0] == 0
    assert len(Ledger(tmp_path / "ledger").read()) == 3


@pytest.mark.parametrize("digests", [True, False])
def test_uploaded_file_is_never_replaced(hub: GitHubState, release: Release, tmp_path: Path, digests: bool) -> None:
    hub.digests = digests
    built(tmp_path, "aaa")
    first = built(tmp_path, "demo")
    release()
    (tmp_path / "ledger").rename(tmp_path / "lost")
    before = dict(hub.contents)
    for path in (tmp_path / "cache/store/records").iterdir():
        if first.parent.name in path.read_text():
            path.unlink()
    built(tmp_path, "demo", code="ANSWER = 43\n")
    status, shown = release()
    assert status == 13
    assert "other bytes" in shown or "published with" in shown
    assert hub.contents == before
    assert [entry.project for entry in Ledger(tmp_path / "ledger").read()] == ["aaa"]


def test_damaged_wheel_is_not_uploaded(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    built(tmp_path, "aaa")
    wheel = built(tmp_path, "demo")
    other = make_wheel(tmp_path / "other", "demo", code="ANSWER = 43\n")
    wheel.write_bytes(other.read_bytes())
    status, shown = release()
    assert (status, "it changed after its checks" in shown) == (13, True)
    assert list(hub.releases) == ["aaa-1.0"]


def test_wait_that_github_asks_for_is_kept(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    built(tmp_path, "demo")
    hub.fail("POST", "assets", 429, Retry_After="0")
    hub.fail("POST", "assets", 403, Retry_After="0")
    assert release()[0] == 0
    hub.fail("GET", "tags", 403, Retry_After="3600")
    built(tmp_path, "more")
    assert release()[0] == 13


def test_release_without_token_fails(hub: GitHubState, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "--output", str(tmp_path / "out")]) == 13
    assert "FACTORY_GITHUB_TOKEN: is not set" in capsys.readouterr().err
    assert hub.requests == []


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", "-C", folder, *own, *arguments], check=True, capture_output=True, text=True).stdout


def test_pushed_ledger_keeps_what_others_pushed(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    for name in ("remote", "other"):
        (tmp_path / name).mkdir()
    git(tmp_path / "remote", "init", "--quiet", "--bare")
    git(tmp_path, "init", "--quiet")
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger/README").write_text("text")
    git(tmp_path, "add", "ledger")
    git(tmp_path, "commit", "--quiet", "--message=first")
    git(tmp_path, "remote", "add", "origin", str(tmp_path / "remote"))
    git(tmp_path, "push", "--quiet", "origin", "HEAD:main")
    git(tmp_path / "other", "clone", "--quiet", str(tmp_path / "remote"), ".")
    (tmp_path / "other/theirs").write_text("text")
    git(tmp_path / "other", "add", "theirs")
    git(tmp_path / "other", "commit", "--quiet", "--message=theirs")
    git(tmp_path / "other", "push", "--quiet", "origin", "HEAD:main")
    wheel = built(tmp_path, "demo")
    assert release("--push")[0] == 0
    names = git(tmp_path / "remote", "ls-tree", "-r", "--name-only", "main").splitlines()
    assert set(names) >= {"ledger/README", "theirs", f"ledger/demo/{wheel.name}.json"}
    assert not [name for name in names if not name.startswith(("ledger/", "theirs"))]
    status, shown = release("--push")
    assert (status, "ledger unchanged" in shown) == (0, True)


def test_push_that_is_refused_says_so(hub: GitHubState, release: Release, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", str(tmp_path / "nowhere"))
    built(tmp_path, "demo")
    status, shown = release("--push")
    assert status == 13
    assert "cannot commit and push it" in shown
