"""Ownership of files that commands write through sudo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.errors import PublishError
from factory.host.ownership import owned_by_user

USER = 1234

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the home folder of a user who ran sudo."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, USER, USER)
    monkeypatch.setenv("SUDO_UID", str(USER))
    monkeypatch.setenv("SUDO_GID", str(USER))
    return home


def owners(folder: Path) -> dict[str, int]:
    """Return the owner of each file and folder below a folder, without following links."""
    return {str(path.relative_to(folder)): path.lstat().st_uid for path in folder.rglob("*")}


def test_owned_by_user_includes_new_parent_folders(home: Path) -> None:
    with owned_by_user(home / "dist/new/index"):
        (home / "dist/new/index").mkdir(parents=True)
        (home / "dist/new/index/page.html").write_text("page")
    assert set(owners(home).values()) == {USER}
    assert home.parent.stat().st_uid == 0


def test_owned_by_user_after_error_includes_new_files(home: Path) -> None:
    def refuse() -> None:
        with owned_by_user(home / "index", home / "never made"):
            (home / "index").mkdir()
            raise PublishError("refused")

    with pytest.raises(PublishError):
        refuse()
    assert owners(home) == {"index": USER}


def test_owned_by_user_keeps_owners_of_earlier_files(home: Path) -> None:
    for name in ("index/theirs", "index/of-root", "index/replaced"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("before")
    os.chown(home / "index/theirs", 4321, 4321)
    with owned_by_user(home / "index"):
        (home / "index/new").write_text("new")
        (home / "index/next").write_text("after")
        (home / "index/next").replace(home / "index/replaced")
    assert owners(home) == {
        "index": 0,
        "index/theirs": 4321,
        "index/of-root": 0,
        "index/replaced": USER,
        "index/new": USER,
    }


def test_owned_by_user_keeps_hard_links_into_the_store(home: Path, tmp_path: Path) -> None:
    stored = tmp_path / "store.whl"
    stored.write_text("wheel")
    with owned_by_user(home / "index"):
        (home / "index").mkdir()
        os.link(stored, home / "index/demo.whl")
    assert stored.stat().st_uid == 0


@pytest.mark.parametrize("kind", ["output", "parent", "child", "file"])
def test_owned_by_user_changes_nothing_through_links(home: Path, tmp_path: Path, kind: str) -> None:
    """A folder that was there, and its content, stay root's, wherever in the path the link is."""
    target = tmp_path / "system"
    (target / "dist").mkdir(parents=True)
    (target / "dist/secret").write_text("secret")
    links = {"output": "dist", "parent": "linked", "child": "dist/index", "file": "dist/page"}
    link = home / links[kind]
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target / {"output": "dist", "file": "dist/secret"}.get(kind, ""))
    with owned_by_user(home / ("linked/dist" if kind == "parent" else "dist")):
        pass
    assert {target.stat().st_uid, *owners(target).values()} == {0}


def test_owned_by_user_follows_no_link_that_replaces_a_folder(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "system"
    target.mkdir()
    (target / "secret").write_text("secret")
    with owned_by_user(home / "dist"):
        (home / "dist").symlink_to(target)
    assert {target.stat().st_uid, *owners(target).values()} == {0}
