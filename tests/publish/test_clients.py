"""pip and uv decide whether the index is right: over HTTP and as a folder, for riscv64 and for this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.board import finder
from factory.errors import CommandFailed
from factory.publish.index_files import write_simple
from factory.publish.server import serve
from factory.publish.simple_api import pip_options, trusted_host
from factory.util.atomic_files import sha256_of
from factory.util.process import run
from tests.support.clients import FOR_RISCV, UV_FOR_RISCV, pip, uv
from tests.support.wheelmaker import RISCV, make_wheel, release_of


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    paths = [
        make_wheel(folder / "store", "engine", "1.0", tag=RISCV, requires=["Pure_Lib>=1"]),
        make_wheel(folder / "store", "engine", "1.1", tag=RISCV, requires=["Pure_Lib>=1"], requires_python=">=3.14"),
        make_wheel(folder / "store", "pure_lib", "1.0"),
        make_wheel(folder / "store", "pure_lib", "2.0", build="1", code="ANSWER = 42 + 0\n"),
    ]
    files = {release_of(path): path for path in paths}
    write_simple(list(files), files.__getitem__, folder / "out")
    return folder / "out"


@pytest.fixture(params=["http", "folder"])
def url(request: pytest.FixtureRequest, index: Path) -> Iterator[str]:
    if request.param == "folder":
        yield (index / "simple").as_uri()
        return
    with serve(index) as base:
        yield f"{base}/simple/"


def test_pip_downloads_a_riscv64_wheel_and_its_dependency(url: str, index: Path, tmp_path: Path) -> None:
    pip("download", f"--index-url={url}", f"--dest={tmp_path}", *FOR_RISCV, "engine")
    names = {f"engine-1.0-{RISCV}.whl", "pure_lib-2.0-1-py3-none-any.whl"}  # engine 1.1 wants a newer Python
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(sha256_of(tmp_path / name) == sha256_of(index / "files" / name) for name in names)


def test_uv_resolves_for_riscv64(url: str, tmp_path: Path) -> None:
    (tmp_path / "wanted.in").write_text("engine\n")
    wanted = str(tmp_path / "wanted.in")
    answer = uv("pip", "compile", f"--default-index={url}", *UV_FOR_RISCV, f"--python={sys.executable}", wanted)
    assert "engine==1.0" in answer.splitlines()
    assert "pure-lib==2.0" in answer.splitlines()


def test_pip_finds_our_wheels_beside_another_index(url: str, index: Path, tmp_path: Path) -> None:
    """Not what our pages advise, and what many have configured."""
    write_simple([], lambda _release: index, tmp_path / "other")
    with serve(tmp_path / "other") as other:
        options = [f"--index-url={other}/simple/", f"--extra-index-url={url}", f"--dest={tmp_path / 'found'}"]
        pip("download", *options, *FOR_RISCV, "engine")
    assert (tmp_path / "found" / f"engine-1.0-{RISCV}.whl").is_file()


def test_pip_installs_with_required_hashes(url: str, index: Path, tmp_path: Path) -> None:
    digest = sha256_of(index / "files/pure_lib-1.0-py3-none-any.whl")
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(f"pure-lib==1.0 --hash=sha256:{digest}\n")
    pip("install", f"--index-url={url}", "--require-hashes", f"--target={tmp_path / 'site'}", f"-r{wanted}")
    assert (tmp_path / "site/pure_lib.py").read_text() == "ANSWER = 42\n"
    wanted.write_text(f"pure-lib==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(CommandFailed) as caught:
        pip("install", f"--index-url={url}", "--require-hashes", f"--target={tmp_path / 'other'}", f"-r{wanted}")
    assert digest in caught.value.output


def test_uv_installs(url: str, tmp_path: Path) -> None:
    uv("pip", "install", f"--default-index={url}", f"--target={tmp_path}", f"--python={sys.executable}", "pure-lib<2")
    assert (tmp_path / "pure_lib.py").is_file()


def test_clients_read_metadata_without_fetching_the_wheel(index: Path, tmp_path: Path) -> None:
    (tmp_path / "wanted.in").write_text("engine\n")
    lines: list[str] = []
    with serve(index, on_request=lines.append) as base:
        options = [f"--default-index={base}/simple/", *UV_FOR_RISCV, f"--python={sys.executable}"]
        uv("pip", "compile", *options, str(tmp_path / "wanted.in"))
        pip("install", "--dry-run", "--ignore-installed", f"--index-url={base}/simple/", "pure-lib")
    asked = [line.split()[1] for line in lines]
    assert any(path.endswith(".whl.metadata") for path in asked)
    assert not any(path.endswith(".whl") for path in asked)


def test_pip_refuses_a_wheel_whose_bytes_changed_on_the_way(index: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    run(["cp", "-r", str(index), str(forged)])
    make_wheel(forged / "files", "pure_lib", "2.0", build="1", code="ANSWER = 666\n")
    with pytest.raises(CommandFailed) as caught:
        pip("install", f"--index-url={(forged / 'simple').as_uri()}", f"--target={tmp_path / 'site'}", "pure-lib")
    assert "HASHES" in caught.value.output


def test_pip_takes_an_http_index_elsewhere_with_its_options_only(index: Path, tmp_path: Path) -> None:
    """To pip, 0.0.0.0 is another machine; connections to it reach this one."""
    with serve(index) as base:
        url = f"{base.replace('127.0.0.1', '0.0.0.0')}/simple/"
        with pytest.raises(CommandFailed) as caught:
            pip("download", "--index-url", url, "--dest", str(tmp_path), "pure-lib")
        assert "not a trusted or secure host" in caught.value.output
        pip("download", *shlex.split(pip_options(url)), "--dest", str(tmp_path), "pure-lib")
    assert [path.name for path in tmp_path.iterdir()] == ["pure_lib-2.0-1-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://board.example:8000/simple/", "board.example"),
        ("http://192.168.1.7/simple/", "192.168.1.7"),
        ("http://[fe80::1]:8000/simple/", "fe80::1"),
        ("https://wheels.example/simple/", ""),
        ("http://localhost:8000/simple/", ""),
        ("http://127.0.0.1/simple/", ""),
        ("http://[::1]:8000/simple/", ""),
        ("file:///srv/index/simple/", ""),
        ("URL/simple/", ""),
    ],
)
def test_trusted_host_is_that_of_http_on_another_machine(url: str, host: str) -> None:
    assert trusted_host(url) == host
    options = ["--index-url", url, *(["--trusted-host", host] if host else [])]
    assert shlex.split(finder._pip_options(url)) == options
    assert shlex.split(pip_options(url)) == options
