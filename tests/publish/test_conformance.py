"""Real installers and lock tools with `factory serve` and a static web server."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from packaging.metadata import Metadata
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple

from factory.errors import CommandFailed
from factory.model.protocols import Command
from factory.publish.index_files import write_simple
from factory.publish.release import Release
from factory.publish.server import serve
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.atomic_files import sha256_of
from factory.util.log import LogFile
from factory.util.process import run
from tests.support.clients import FOR_RISCV, UV_FOR_RISCV, pip, sent, uv
from tests.support.folder_server import folder_served
from tests.support.wheelmaker import RISCV, make_wheel, release_of

ENGINE, PURE = f"engine-1.0-{RISCV}.whl", "pure_lib-2.0-1-py3-none-any.whl"
LARGE = f"X = '{random.Random(0).randbytes(1 << 20).hex()}'\n"
# Tools with their dependencies as of one day, so that their behaviour does not change.
TOOLS = {"poetry": "poetry==2.2.1", "pdm": "pdm==2.26.1"}
TOOLS_OF = "2025-11-20"
# The first pip that supports riscv64 wheels, and the last that does not.
FIRST_PIP, LAST_PIP_WITHOUT = "24.1", "24.0"
PROJECT = '[project]\nname = "app"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = {dependencies}\n{more}'
POETRY = (
    '[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "ours"\nurl = "{url}"\npriority = "primary"\n'
)
PDM = '[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\n'
UV = '[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\nexplicit = true\n'
UV_SOURCES = '[tool.uv.sources]\npure-lib = { index = "ours" }\n'


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an index with two versions of an engine and three of its dependency.

    One engine needs a newer Python, and one version of the dependency is yanked.
    """
    folder = tmp_path_factory.mktemp("conformance")
    store = folder / "store"
    paths = [
        make_wheel(store, "engine", "1.0", tag=RISCV, requires=["Pure_Lib>=1"], code=LARGE),
        make_wheel(store, "engine", "1.1", tag=RISCV, requires=["Pure_Lib>=1"], requires_python=">=3.15"),
        make_wheel(store, "pure_lib", "1.0"),
        make_wheel(store, "pure_lib", "2.0", build="1"),
        make_wheel(store, "pure_lib", "3.0"),
    ]
    files = {_with_all(release_of(path)): path for path in paths}
    write_simple(list(files), files.__getitem__, folder / "out")
    return folder / "out"


def _with_all(release: Release) -> Release:
    """Add all optional fields of a page."""
    yanked = "it bites" if release.version == "3.0" else None
    tracks = f"https://index.example/simple/{release.project}/"
    provenance = f"https://files.example/{release.filename}.provenance"
    return replace(release, yanked=yanked, uploaded="2026-11-22T09:30:00Z", tracks=tracks, provenance_url=provenance)


@pytest.fixture(params=["served", "static"])
def url(request: pytest.FixtureRequest, index: Path) -> Iterator[str]:
    if request.param == "served":
        with serve(index) as base:
            yield f"{base}/simple/"
        return
    with folder_served(index) as base:
        yield f"{base}/simple/"


def tool(name: str, *arguments: str, cwd: Path) -> None:
    """Run a lock tool in its own environment, which uv installs on first use."""
    argv = [sys.executable, "-m", "uv", "tool", "run", "--no-config", f"--exclude-newer={TOOLS_OF}", "--from"]
    settings = {"PDM_CHECK_UPDATE": "0", "PDM_IGNORE_ACTIVE_VENV": "1", "POETRY_VIRTUALENVS_CREATE": "false"}
    own = {"POETRY_CACHE_DIR": str(cwd / "cache"), "PDM_CACHE_DIR": str(cwd / "cache"), "PDM_LOG_DIR": str(cwd / "log")}
    run([*argv, TOOLS[name], name, *arguments], cwd=cwd, env={**os.environ, **settings, **own})


def write_project(folder: Path, more: str, *dependencies: str) -> None:
    (folder / "pyproject.toml").write_text(PROJECT.format(dependencies=json.dumps(dependencies), more=more))


def locked(text: str) -> set[tuple[str, str]]:
    """Return the file names and sha256 of wheels in the lock file of any tool."""
    return set(re.findall(r'([\w.+-]+\.whl)", hash = "sha256:([0-9a-f]{64})"', text))


def expected(index: Path, *names: str) -> set[tuple[str, str]]:
    return {(name, sha256_of(index / "files" / name)) for name in names}


@pytest.mark.parametrize(("name", "more"), [("poetry", POETRY), ("pdm", PDM)], ids=["poetry", "pdm"])
def test_poetry_and_pdm_lock_with_hashes(url: str, index: Path, tmp_path: Path, name: str, more: str) -> None:
    write_project(tmp_path, more.format(url=url), "engine")
    tool(name, "lock", cwd=tmp_path)
    assert locked((tmp_path / f"{name}.lock").read_text()) == expected(index, ENGINE, PURE)


def test_uv_adds_from_explicit_index_and_locks(url: str, index: Path, tmp_path: Path) -> None:
    write_project(tmp_path, UV.format(url=url) + UV_SOURCES)
    options = ("--directory", str(tmp_path), "--python", sys.executable, "--no-python-downloads")
    uv("add", *options, "--no-sync", f"--index=ours={url}", "engine==1.0", "pure-lib")
    text = (tmp_path / "pyproject.toml").read_text()
    assert 'engine = { index = "ours" }' in text
    assert locked((tmp_path / "uv.lock").read_text()) == expected(index, ENGINE, PURE)
    uv("lock", *options, "--check")


def test_yanked_version_is_skipped_unless_pinned(url: str, tmp_path: Path) -> None:
    pip("download", f"--index-url={url}", f"--dest={tmp_path / 'newest'}", "pure-lib")
    assert [path.name for path in (tmp_path / "newest").iterdir()] == [PURE]
    said = pip("download", f"--index-url={url}", f"--dest={tmp_path / 'pinned'}", "pure-lib==3.0")
    assert "it bites" in said
    for wanted, version in (("pure-lib", "2.0"), ("pure-lib==3.0", "3.0")):
        (tmp_path / "wanted.in").write_text(f"{wanted}\n")
        answer = uv("pip", "compile", f"--default-index={url}", *UV_FOR_RISCV, str(tmp_path / "wanted.in"))
        assert f"pure-lib=={version}" in answer.splitlines()


def test_version_for_newer_python_is_skipped(url: str, tmp_path: Path) -> None:
    pip("download", "--no-deps", f"--index-url={url}", f"--dest={tmp_path}", *FOR_RISCV, "engine")
    assert [path.name for path in tmp_path.iterdir()] == [ENGINE]
    with pytest.raises(CommandFailed) as caught:
        pip("download", "--no-deps", f"--index-url={url}", f"--dest={tmp_path}", *FOR_RISCV, "engine==1.1")
    assert "Requires-Python" in caught.value.output or "No matching distribution" in caught.value.output


def test_resolution_downloads_no_wheel(index: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "wanted.in").write_text("engine\n")
    with serve(index, on_request=lines.append) as base:
        uv("pip", "compile", f"--default-index={base}/simple/", *UV_FOR_RISCV, str(tmp_path / "wanted.in"))
        dry = ["install", "--dry-run", "--ignore-installed", f"--target={tmp_path / 'x'}", *FOR_RISCV]
        pip(*dry, f"--index-url={base}/simple/", "engine")
    assert (index / "files" / ENGINE).stat().st_size > 1_000_000
    assert any(path.endswith(".metadata") for path in sent(lines))
    assert sum(sent(lines).values()) < 20_000, sent(lines)


def test_uv_reads_metadata_from_a_range_of_the_wheel(index: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    wheel = index / "files" / ENGINE
    (tmp_path / "wanted.in").write_text("engine\n")
    shutil.copytree(index / "files", tmp_path / "out/assets")
    (tmp_path / "out/simple").mkdir()
    with serve(tmp_path / "out", on_request=lines.append) as base:
        releases = [release_of(wheel), release_of(index / "files" / PURE)]
        files = f"{base}/assets"
        bare = [replace(each, url=f"{files}/{each.filename}", metadata_sha256=None) for each in releases]
        write_simple(bare, lambda _release: wheel, tmp_path / "out")
        uv("pip", "compile", f"--default-index={base}/simple/", *UV_FOR_RISCV, str(tmp_path / "wanted.in"))
    gets = sent([line for line in lines if line.startswith("GET")])
    assert 0 < gets[f"/assets/{ENGINE}"] < 100_000
    assert any(line.startswith(f"GET /assets/{ENGINE} 206") for line in lines)


@pytest.mark.parametrize("accept", [ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY])
def test_pypi_simple_and_packaging_read_every_page(url: str, index: Path, accept: str) -> None:
    """A static server sends HTML, whatever the Accept header is."""
    with PyPISimple(url) as client:
        projects = client.get_index_page(accept=accept).projects
        assert projects == ["engine", "pure-lib"]
        for project in projects:
            page = client.get_project_page(project, accept=accept)
            assert (page.repository_version, page.tracks) == ("1.3", [f"https://index.example/simple/{project}/"])
            for package in page.packages:
                assert parse_wheel_filename(package.filename)[0] == project
                assert package.digests == {"sha256": sha256_of(index / "files" / package.filename)}
                SpecifierSet(package.requires_python or "")
                assert Metadata.from_email(client.get_package_metadata_bytes(package)).name is not None


@pytest.mark.environment
def test_first_pip_with_riscv64_installs_and_older_refuses(
    clean_root: RootfsEnvironment, index: Path, tmp_path: Path
) -> None:
    log = LogFile(tmp_path / "log")
    install = ["--isolated", "install", "--no-compile", "--no-cache-dir", "engine"]
    with serve(index) as base, clean_root.open(tmp_path / "work", caches="test") as sandbox:
        for version in (FIRST_PIP, LAST_PIP_WITHOUT):
            unpack(f"pip=={version}", sandbox.work / version)
        options = [*install, f"--index-url={base}/simple/", "--target=/build/site"]
        with pytest.raises(CommandFailed):
            sandbox.run(Command(["python3", f"/build/{LAST_PIP_WITHOUT}/pip", *options], network=True), log=log)
        assert "No matching distribution found for engine" in log.path.read_text()
        sandbox.run(Command(["python3", f"/build/{FIRST_PIP}/pip", *options], network=True), log=log)
        assert {"engine.py", "pure_lib.py"} <= {path.name for path in (sandbox.work / "site").iterdir()}


@pytest.mark.environment
def test_current_pip_and_uv_install_by_hash_on_riscv64(
    clean_root: RootfsEnvironment, index: Path, tmp_path: Path
) -> None:
    log = LogFile(tmp_path / "log")
    wheels = {"engine==1.0": ENGINE, "pure-lib==2.0": PURE}
    hashed = [f"{pin} --hash=sha256:{sha256_of(index / 'files' / name)}\n" for pin, name in wheels.items()]
    with serve(index) as base, clean_root.open(tmp_path / "work", caches="test") as sandbox:
        (sandbox.work / "wanted.txt").write_text("".join(hashed))
        unpack("pip", sandbox.work / "pip")
        unpack("uv", sandbox.work / "uv", "--only-binary=:all:", "--platform=manylinux_2_31_riscv64")
        (program,) = (sandbox.work / "uv").glob("*.data/scripts/uv")
        program.rename(sandbox.work / "uv-program").chmod(0o755)
        url = f"{base}/simple/"
        by_pip = ["python3", "/build/pip/pip", "--isolated", "install", "--no-cache-dir", f"--index-url={url}"]
        by_uv = ["/build/uv-program", "--no-config", "pip", "install", "--no-cache", f"--default-index={url}"]
        for site, client in {"by-pip": by_pip, "by-uv": [*by_uv, "--python=python3"]}.items():
            options = ["--require-hashes", f"--target=/build/{site}", "-r", "/build/wanted.txt"]
            sandbox.run(Command([*client, *options], network=True), log=log)
            assert {"engine.py", "pure_lib.py"} <= {path.name for path in (sandbox.work / site).iterdir()}


def unpack(requirement: str, folder: Path, *options: str) -> None:
    """Unpack a client's wheel, since it would be compiled anew at each start."""
    run([sys.executable, "-m", "pip", "download", "--no-deps", f"--dest={folder}", *options, requirement])
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
