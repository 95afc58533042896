"""Tests of secrets: none gets into command lines, builds, logs, records or exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.host.privileges import SUDO
from factory.util.redaction import HIDDEN
from tests.support.canaries import LOOK, NOTHING, Proxy, set_up
from tests.support.checkouts import ONE_PROFILE, SUMS, Checkout, add_recipe, make_checkout
from tests.support.secrecy import as_root, package_that_looks, proxy_with_requirement, require_secrecy
from tests.support.users import User

pytestmark = pytest.mark.environment

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
    with proxy_with_requirement(tmp_path_factory.mktemp("files")) as proxy:
        yield proxy


@pytest.fixture
def cache(fresh_cache: Path) -> Path:
    """Return a cache with the machine's layers, and package caches of its own."""
    (fresh_cache / "packages").unlink()
    return fresh_cache


@pytest.mark.parametrize("environment", ["rootfs", "docker"])
def test_build_shows_secrets_nowhere(
    environment: str, request: pytest.FixtureRequest, proxy: Proxy, cache: Path, tmp_path: Path
) -> None:
    if environment == "docker":
        request.getfixturevalue("docker_engine")
    packages = package_that_looks(tmp_path / "packages")
    checkout = make_checkout(tmp_path / "checkout", cache, more=ONE_PROFILE, smoke=LOOK + SUMS, packages=packages)
    proxy.served.clear()
    factory = as_root(checkout, set_up(tmp_path / "home", proxy.port))
    require_secrecy(factory, "vectors-c", cache, tmp_path, environment)
    assert proxy.served == {"uv-toml", "uv", "netrc", "pip"}
    for stage in ("build", "check"):
        assert NOTHING in checkout.log("vectors-c-1.0", stage)


def test_cibuildwheel_shows_secrets_nowhere(docker_engine: None, proxy: Proxy, cache: Path, tmp_path: Path) -> None:
    """Such a build has the network and so the secrets; its log is published."""
    checkout = Checkout(root=tmp_path / "checkout", cache=cache)
    add_recipe(checkout.root, "own-configuration", more=CIBUILDWHEEL + ONE_PROFILE, smoke=ANSWER)
    require_secrecy(as_root(checkout, set_up(tmp_path / "home", proxy.port)), "own-configuration", cache, tmp_path)
    log = checkout.log("own-configuration-1.0", "build")
    assert f"//{HIDDEN}@uv-toml.example/simple/" in log
    assert "tested: 43" in log


def test_sudo_uses_settings_of_user_and_shows_secrets_nowhere(
    users_factory: Path, installed: Path, sudoer: User, proxy: Proxy, cache: Path
) -> None:
    """The current folder has a module of the user's, which root must not import."""
    folder = installed / "checkout-for-sudo"
    packages = package_that_looks(sudoer.home / "packages")
    checkout = make_checkout(folder, cache, more=ONE_PROFILE, smoke=LOOK + SUMS, packages=packages)
    (folder / "platformdirs.py").write_text("raise SystemExit('imported from the current folder')\n")
    variables = set_up(sudoer.home, proxy.port) | {"FACTORY_PRIVILEGE": SUDO, "FACTORY_CACHE": str(cache)}
    proxy.served.clear()

    def factory(*arguments: str) -> tuple[int, str]:
        return sudoer.run([users_factory, *arguments], folder, **variables)

    require_secrecy(factory, "vectors-c", cache, sudoer.home)
    assert proxy.served == {"uv-toml", "uv", "netrc", "pip"}
    for stage in ("build", "check"):
        assert NOTHING in checkout.log("vectors-c-1.0", stage)
