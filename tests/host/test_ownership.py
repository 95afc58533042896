"""Ownership of files that commands write through sudo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.errors import PublishError
from factory.host.ownership import owned_by_user, restore_owner


def test_owned_by_user_after_error_restores_existing_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[tuple[Path, ...]] = []
    monkeypatch.setattr("factory.host.ownership.restore_owner", lambda *folders: restored.append(folders))
    with pytest.raises(PublishError), owned_by_user(tmp_path, tmp_path / "never made"):
        raise PublishError("refused")
    assert restored == [(tmp_path,)]


@pytest.mark.environment
def test_restore_owner_includes_new_parent_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "dist/new/index").mkdir(parents=True)
    (home / "dist/new/index/page.html").write_text("page")
    os.chown(home, 1234, 1234)
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1234")
    restore_owner(home / "dist/new/index")
    assert {path.stat().st_uid for path in home.rglob("*")} == {1234}
    assert tmp_path.stat().st_uid == 0
