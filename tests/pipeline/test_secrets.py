"""No secret of the machine gets to a command line, a build, a log, a record, an index or an exported cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from factory.util.redaction import HIDDEN
from tests.support.canaries import (
    LOOK,
    CommandLines,
    Proxy,
    files_with_canaries,
    found_in,
    proxy_with_indexes,
    set_up,
)
from tests.support.checkouts import ONE_PROFILE, PACKAGES, SUMS, Checkout, add_recipe, make_checkout

pytestmark = pytest.mark.environment

NOTHING = "0 places with secrets: []"
CIBUILDWHEEL = """
[build]
builder = "cibuildwheel"
[build.environment]
ANSWER = "43"
CIBW_BEFORE_ALL = "printenv UV_INDEX"
"""
ANSWER = """
import json, os, own_configuration
facts = {"shown": f"answer {own_configuration.answer()}", "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Serve the build requirement of the packages from behind a proxy."""
    folder = tmp_path_factory.mktemp("files")
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "setuptools>=77"]
    subprocess.run(download, check=True)
    with proxy_with_indexes({path.name: path.read_bytes() for path in folder.iterdir()}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of vectors-c whose build looks for secrets."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(PACKAGES / "vectors-c", folder / "vectors-c")
    setup = folder / "vectors-c/setup.py"
    setup.write_text(LOOK + setup.read_text())
    return folder


def exported(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of an exported cache."""
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as packed,
        tarfile.open(fileobj=packed, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            yield member.name, content.read() if content else b""


@pytest.mark.parametrize("environment", ["rootfs", "docker"])
def test_build_shows_secrets_nowhere(
    environment: str, request: pytest.FixtureRequest, proxy: Proxy, packages: Path, fresh_cache: Path, tmp_path: Path
) -> None:
    if environment == "docker":
        request.getfixturevalue("docker_engine")
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=ONE_PROFILE, smoke=LOOK + SUMS, packages=packages)
    require_secrecy(checkout, "vectors-c", environment, proxy, tmp_path)
    assert proxy.served == {"uv-toml", "uv", "netrc", "pip"}
    for stage in ("build", "check"):
        assert NOTHING in checkout.log("vectors-c-1.0", stage)


def test_cibuildwheel_shows_secrets_nowhere(
    docker_engine: None, proxy: Proxy, fresh_cache: Path, tmp_path: Path
) -> None:
    """All of such a build has the network, and so its commands the secrets; its log is published."""
    more = (
        '[build]\nbuilder = "cibuildwheel"\n[build.environment]\nANSWER = "43"\nCIBW_BEFORE_ALL = "printenv UV_INDEX"'
    )
    checkout = Checkout(root=tmp_path / "checkout", cache=fresh_cache)
    add_recipe(checkout.root, "own-configuration", more=f"{more}\n{ONE_PROFILE}", smoke=ANSWER)
    require_secrecy(checkout, "own-configuration", "rootfs", proxy, tmp_path)
    log = checkout.log("own-configuration-1.0", "build")
    assert f"//{HIDDEN}@uv-toml.example/simple/" in log
    assert "tested: 43" in log


def require_secrecy(checkout: Checkout, name: str, environment: str, proxy: Proxy, folder: Path) -> None:
    """Build, index and export with canaries, and look for them everywhere; `folder` is for what is made."""
    (checkout.cache / "packages").unlink()
    variables = set_up(folder / "home", proxy.port)
    proxy.served.clear()
    commands = CommandLines()
    said = ""
    with commands.watched():
        for words in (
            ("build", name, "--environment", environment),
            ("index", "--output", str(folder / "index")),
            ("cache", "export", str(folder / "exported")),
        ):
            done = checkout.factory(*words, **variables)
            assert done.returncode == 0, done.stderr
            said += done.stdout + done.stderr
    assert commands.leaked == set()
    assert {"uv", "sh"} <= commands.programs
    assert not found_in(said.encode())
    for made in (checkout.cache, checkout.root, folder / "index"):
        assert files_with_canaries(made) == []
    names = dict(exported(folder / "exported"))
    assert [each for each, content in names.items() if found_in(content)] == []
    assert any(each.startswith(f"logs/{name}-1.0/") for each in names)
