"""Tests of lock files, from the command to pip."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs
from packaging.pylock import Pylock
from packaging.version import Version

from factory.cli.main import main
from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.lock_files import read_locks, write_lock
from factory.publish.resolver import lock
from factory.publish.server import serve
from tests.support.clients import pip
from tests.support.wheelmaker import RISCV, make_wheel, release_of

PYTHON = ["--python", "3.13"]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Make an index of `app`, which needs `lib`, and of `engine`, whose need it lacks."""
    folder = tmp_path / "out"
    files = folder / "files"
    for path in (
        make_wheel(files, "app", "1.0", requires=["lib>=1"]),
        make_wheel(files, "lib", "1.0"),
        make_wheel(files, "lib", "2.0+debian"),
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
    assert {each.name for each in found.glob("*.dist-info")} == {"app-1.0.dist-info", "lib-2.0+debian.dist-info"}


def test_lock_writes_files_with_addresses_and_hashes(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pylock.app.toml"
    assert main(["lock", "App", *PYTHON, "--index", f"{url}/simple/", "--output", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: 2 packages for Python 3.13",
        f"pip install -r {path}  # pip 26.1 or newer",
    ]
    assert addresses(path.read_text()) == {
        f"{url}/files/{name}-py3-none-any.whl" for name in ("app-1.0", "lib-2.0%2Bdebian")
    }


def test_lock_without_python_takes_the_first_that_resolves(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some packages, such as vLLM, have wheels for the second Python alone."""
    newer = make_wheel(index / "files", "newer", "1.0", tag="cp314-cp314-manylinux_2_39_riscv64", requires=["lib"])
    Ledger(index / "ledger").add(structs.replace(release_of(newer), metadata_sha256=None))
    write_pages(index)
    path = tmp_path / "pylock.toml"
    assert main(["lock", "newer", "--index", str(index), "--output", str(path)]) == 0
    assert f"{path}: 2 packages for Python 3.14" in capsys.readouterr().out
    assert main(["lock", "app", "--index", str(index), "--output", str(path)]) == 0
    assert f"{path}: 2 packages for Python 3.13" in capsys.readouterr().out
    assert main(["lock", "newer", *PYTHON, "--index", str(index)]) == PublishError.exit_code


def test_lock_as_json_names_the_packages(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pylock.toml"
    assert main(["lock", "app", *PYTHON, "--index", f"{url}/simple/", "--output", str(path), "--json"]) == 0
    packages = [{"name": "app", "version": "1.0"}, {"name": "lib", "version": "2.0+debian"}]
    expected = {"locked": str(path), "python": "3.13", "packages": packages}
    assert json.loads(capsys.readouterr().out) == expected


def addresses(lock_file: str) -> set[str | None]:
    found = Pylock.from_dict(tomllib.loads(lock_file))
    found.validate()
    assert all(wheel.hashes["sha256"] for package in found.packages for wheel in package.wheels or ())
    return {wheel.url for package in found.packages for wheel in package.wheels or ()}


def test_lock_of_unresolvable_package_names_it(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "engine", *PYTHON, "--index", str(index)]) == PublishError.exit_code
    told = capsys.readouterr().err
    assert told.startswith("factory: engine: cannot resolve for riscv64")
    assert "absent" in told


@pytest.mark.parametrize(
    "options",
    [
        ["app", "--output", "app.lock"],
        ["app", "--output", "requirements.txt"],
        ["?"],
        ["app @ https://elsewhere.example/app-1.0-py3-none-any.whl"],
        ["app\n--index-url=x"],
    ],
)
def test_lock_refuses_options_that_do_not_fit(options: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["lock", *options])


def test_lock_of_nothing_names_the_requirement(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "app; python_version>'4'", *PYTHON, "--index", str(index)]) == PublishError.exit_code
    assert "nothing to install" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["absent", "file", "empty", "file:///empty"])
def test_lock_without_an_index_names_the_folder(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    folder = name if "://" in name else str(tmp_path / name)
    assert main(["lock", "app", *PYTHON, "--index", folder]) == PublishError.exit_code
    assert "not an index" in (told := capsys.readouterr().err)
    assert str(Path(folder)) in told


def test_lock_names_an_output_that_cannot_be_written(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"pylock.{'x' * 255}.toml"
    assert main(["lock", "app", *PYTHON, "--index", str(index), "--output", str(path)]) == PublishError.exit_code
    assert f"{path}: cannot write the lock file" in capsys.readouterr().err


def keep_lock(ledger: Path) -> Path:
    """Keep a lock file of `app` in a ledger; return its path."""
    wheel = 'url = "https://wheels.example/app.whl", name = "app-1.0-py3-none-any.whl", hashes = { sha256 = "0" }'
    package = f'[[packages]]\nname = "app"\nversion = "1.0"\nwheels = [{{ {wheel} }}]\n'
    write_lock(ledger, "app", "3.13", f'lock-version = "1.0"\ncreated-by = "test"\n{package}')
    return ledger / "app/locks/pylock.app-cp313.toml"


@pytest.mark.parametrize("content", [b"\xff", b"[", b'lock-version = "1.0"\n', b"a = " + b"[" * 9999])
def test_damaged_lock_file_is_named(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keep_lock(tmp_path / "ledger")
    path.write_bytes(content)
    options = ["--output", str(tmp_path), "--ledger", str(tmp_path / "ledger")]
    assert main(["index", "--pages-only", *options]) == PublishError.exit_code
    assert f"{path}: lock file is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "other"])
def test_ledger_without_lock_file_at_its_name_is_refused(kind: str, tmp_path: Path) -> None:
    path = keep_lock(tmp_path)
    path.unlink()
    make: dict[str, Callable[[], object]] = {
        "folder": path.mkdir,
        "pipe": partial(os.mkfifo, path),
        "link": partial(path.symlink_to, path),
    }
    make.get(kind, partial(path.symlink_to, "/etc/passwd"))()
    with pytest.raises(PublishError, match="lock file is damaged"):
        read_locks(tmp_path, "app")


def test_locks_that_are_a_file_are_refused(index: Path) -> None:
    (index / "ledger/app/locks").touch()
    with pytest.raises(PublishError, match="it is not a folder"):
        read_locks(index / "ledger", "app")


def test_files_of_other_names_are_no_lock_files(tmp_path: Path) -> None:
    folder = keep_lock(tmp_path).parent
    for name in ("<b>.toml", "index.toml", "pylock.lib-cp313.toml", ".pylock.app-cp313.toml.1.tmp"):
        (folder / name).touch()
    assert list(read_locks(tmp_path, "app")) == ["pylock.app-cp313.toml"]


def test_lock_file_is_published_to_the_byte(index: Path) -> None:
    path = keep_lock(index / "ledger")
    path.write_bytes(content := path.read_bytes().replace(b"\n", b"\r\n"))
    write_pages(index)
    assert (index / "project/app" / path.name).read_bytes() == content


def test_project_page_offers_no_lock_file_of_yanked_version(index: Path) -> None:
    name = keep_lock(index / "ledger").name
    write_pages(index)
    assert "Version 1.0 for Python 3.13" in (index / "project/app/index.html").read_text()
    Ledger(index / "ledger").set_yanked("app", Version("1.0"), "wrong")
    write_pages(index)
    assert name not in (index / "project/app/index.html").read_text()
    assert (index / "project/app" / name).is_file(), "its address stays"
