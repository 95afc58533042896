"""Tests of lock files, from the command to pip."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from packaging.pylock import Pylock

from factory.cli.main import main
from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.resolver import lock
from factory.publish.server import serve
from tests.support.clients import pip
from tests.support.wheelmaker import RISCV, make_wheel, release_of

PYTHON = ["--python", "3.13"]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Make an index of `app`, which needs `lib`, and of `engine`, which needs what the index lacks."""
    folder = tmp_path / "out"
    files = folder / "files"
    for path in (
        make_wheel(files, "app", "1.0", requires=["lib>=1"]),
        make_wheel(files, "lib", "1.0"),
        make_wheel(files, "lib", "2.0"),
        make_wheel(files, "engine", "1.0", tag=RISCV, requires=["absent"]),
    ):
        Ledger(folder / "ledger").add(structs.replace(release_of(path), metadata_sha256=None))
    (folder / ".pages.json").touch()
    write_pages(folder)
    return folder


def write_pages(folder: Path) -> None:
    assert main(["index", "--pages-only", "--output", str(folder), "--ledger", str(folder / "ledger")]) == 0


@pytest.fixture
def url(index: Path) -> Iterator[str]:
    with serve(index) as base:
        yield base


def test_pip_installs_what_the_lock_file_names(url: str, tmp_path: Path) -> None:
    """For this Python: pip refuses the lock file of a newer one."""
    path, found = tmp_path / "pylock.app.toml", tmp_path / "found"
    path.write_text(lock(["app"], python=f"3.{sys.version_info.minor}", index=f"{url}/simple/"))
    pip("install", f"--target={found}", "-r", str(path))
    assert {each.name for each in found.glob("*.dist-info")} == {"app-1.0.dist-info", "lib-2.0.dist-info"}


def test_lock_writes_files_with_addresses_and_hashes(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pylock.app.toml"
    assert main(["lock", "App", *PYTHON, "--index", f"{url}/simple/", "--output", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{path}: 2 packages for Python 3.13", f"pip install -r {path}"]
    assert addresses(path.read_text()) == {f"{url}/files/{name}-py3-none-any.whl" for name in ("app-1.0", "lib-2.0")}


def addresses(lock_file: str) -> set[str | None]:
    found = Pylock.from_dict(tomllib.loads(lock_file))
    found.validate()
    assert all(wheel.hashes["sha256"] for package in found.packages for wheel in package.wheels or ())
    return {wheel.url for package in found.packages for wheel in package.wheels or ()}


def test_project_page_offers_published_lock_file(index: Path) -> None:
    (index / "site.toml").write_text('url = "https://wheels.example/riscv/"\n')
    assert main(["lock", "app", *PYTHON, "--index", str(index), "--publish"]) == 0
    write_pages(index)
    name, site = "project/app/pylock.app-cp313.toml", "https://wheels.example/riscv"
    assert f"pip install -r {site}/{name}" in (index / "project/app/index.html").read_text()
    assert f"{site}/files/lib-2.0-py3-none-any.whl" in addresses((index / name).read_text())


def test_lock_of_unresolvable_package_names_it(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "engine", *PYTHON, "--index", str(index)]) == PublishError.exit_code
    told = capsys.readouterr().err
    assert told.startswith("factory: engine: cannot resolve for riscv64")
    assert "absent" in told


def test_published_lock_file_needs_the_sites_address(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "app", *PYTHON, "--index", str(index), "--publish"]) == PublishError.exit_code
    assert f"{index / 'site.toml'}: no url" in capsys.readouterr().err
    assert main(["lock", "other", *PYTHON, "--index", str(index), "--publish"]) == PublishError.exit_code
    assert "other: not published" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [["app", "--output", "app.lock"], ["app", "lib", "--publish"], ["app", "--publish", "--output", "x"], ["?"]],
)
def test_lock_refuses_options_that_do_not_fit(options: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["lock", *options])
