"""Tests of lock files that the site offers."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs
from packaging.pylock import Pylock
from packaging.utils import canonicalize_name

from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.published_locks import update_locks
from factory.site.writer import write_site
from tests.support.wheelmaker import make_wheel, release_of

SITE = "https://wheels.example/riscv"
NEWER = "cp314-cp314-manylinux_2_39_riscv64"
APP = canonicalize_name("app")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Make an index of `app`, which needs `lib`, of `newer` for one Python, and of `engine`, whose need it lacks."""
    folder = tmp_path / "out"
    add(folder, make_wheel(folder / "files", "app", "1.0", requires=["lib>=1"]))
    add(folder, make_wheel(folder / "files", "lib", "2.0+debian"))
    add(folder, make_wheel(folder / "files", "newer", "1.0", tag=NEWER, requires=["lib"]))
    add(folder, make_wheel(folder / "files", "engine", "1.0", requires=["absent"]))
    (folder / ".pages.json").touch()
    write_site(ledger_of(folder), folder)
    return folder


def ledger_of(index: Path) -> Ledger:
    return Ledger(index / "ledger")


def add(index: Path, wheel: Path) -> None:
    ledger_of(index).add(structs.replace(release_of(wheel), metadata_sha256=None))


def update(index: Path, *projects: str) -> tuple[bool, Sequence[PublishError]]:
    names = [canonicalize_name(each) for each in projects]
    return update_locks(names, ledger=ledger_of(index), output=index, address=SITE)


def locked(index: Path, project: str, python: str = "313") -> set[str | None]:
    """Return the addresses in a lock file of the ledger."""
    text = (index / f"ledger/{project}/locks/pylock.{project}-cp{python}.toml").read_text()
    return {wheel.url for each in Pylock.from_dict(tomllib.loads(text)).packages for wheel in each.wheels or ()}


def test_lock_files_have_the_sites_addresses(index: Path) -> None:
    assert update(index, "app") == (True, [])
    files = {f"{SITE}/files/app-1.0-py3-none-any.whl", f"{SITE}/files/lib-2.0%2Bdebian-py3-none-any.whl"}
    assert locked(index, "app") == locked(index, "app", "314") == files
    assert update(index, "app") == (False, [])


def test_lock_files_are_of_pythons_that_have_all_wheels(index: Path) -> None:
    assert update(index, "newer") == (True, [])
    assert [each.name for each in (index / "ledger/newer/locks").iterdir()] == ["pylock.newer-cp314.toml"]


def test_lock_files_follow_new_versions(index: Path) -> None:
    update(index, "app")
    add(index, make_wheel(index / "files", "lib", "3.0"))
    write_site(ledger_of(index), index)
    assert update(index, "app") == (True, [])
    assert f"{SITE}/files/lib-3.0-py3-none-any.whl" in locked(index, "app")


def test_project_that_cannot_be_locked_holds_up_no_other(index: Path) -> None:
    changed, failures = update(index, "engine", "absent", "app")
    assert changed
    assert ["engine: cannot resolve" in str(failures[0]), "absent: cannot lock it" in str(failures[1])] == [True, True]
    assert locked(index, "app")


def test_file_of_this_machine_is_not_locked(index: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "elsewhere", "lib", "3.0")
    (index / "simple/lib/index.html").write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
    changed, (failure,) = update(index, "lib")
    assert f"cannot lock a file of this machine: {wheel.as_uri()}" in str(failure)
    assert not changed
    assert not (index / "ledger/lib/locks").exists()


def test_lock_files_have_the_sites_addresses_through_links(index: Path, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder/link").symlink_to(index)
    update_locks([APP], ledger=ledger_of(index), output=tmp_path / "a folder/../a folder/link", address=SITE)
    assert all(address and address.startswith(f"{SITE}/files/") for address in locked(index, "app"))
