"""A project's own configuration for cibuildwheel builds its wheel, in a real engine, by the real command."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from factory.host.docker_engine import connect
from tests.support.checkouts import PACKAGES, Checkout
from tests.support.waiting import wait_until

pytestmark = pytest.mark.environment

RECIPE = """
[package]
name = "own-configuration"
version = "1.0"

[source]
kind = "local"
path = "{source}"

[build]
builder = "cibuildwheel"
{more}

[check]
profiles = ["rv64gc"]
"""
OPTIONS = """
config-settings = { unknown = "two words" }

[build.environment]
ANSWER = "43"
"""
SMOKE = """
import json, os, own_configuration
facts = {"shown": f"answer {own_configuration.answer()}", "facts": {}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(facts))
"""


def make(root: Path, cache: Path, more: str = "") -> Checkout:
    folder = root / "recipes/own-configuration"
    folder.mkdir(parents=True)
    source = os.path.relpath(PACKAGES / "own-configuration", folder)
    (folder / "recipe.toml").write_text(RECIPE.format(source=source, more=more))
    (folder / "smoke.py").write_text(SMOKE)
    return Checkout(root=root, cache=cache)


def test_every_command_of_the_projects_configuration_is_run(
    docker_engine: None, fresh_cache: Path, tmp_path: Path
) -> None:
    checkout = make(tmp_path / "checkout", fresh_cache, OPTIONS)
    finished = checkout.factory("build", "own-configuration", CIBW_BEFORE_ALL="the host's own settings stay outside")
    assert finished.returncode == 0, finished.stderr
    log = checkout.log("own-configuration-1.0", "build")
    for line in ("before all: riscv64", "repaired as the project says", "tested: 43"):
        assert f"\n{line}\n" in log
    assert "'-Cunknown=two words'" in log
    assert checkout.wheel().name == (
        "own_configuration-1.0-cp313-cp313-manylinux_2_31_riscv64.manylinux_2_39_riscv64.whl"
    )
    (record,) = (json.loads(path.read_text()) for path in fresh_cache.glob("store/records/*.json"))
    assert [pin["name"] for pin in record["requirements"]] == ["cibuildwheel"]
    assert {"auditwheel", "gcc-14-riscv64-linux-gnu"} <= {pin["name"] for pin in record["environment"]}
    assert [check["shown"] for check in record["checks"]] == ["answer 43"]
    assert containers() == []


def test_cibuildwheel_killed_leaves_no_container(docker_engine: None, fresh_cache: Path, tmp_path: Path) -> None:
    more = '[build.environment]\nCIBW_BEFORE_ALL = "sleep 600"'
    checkout = make(tmp_path / "checkout", fresh_cache, more)
    running = checkout.start("build", "own-configuration")
    wait_until(lambda: "sh -c 'sleep 600'" in checkout.log("own-configuration-1.0", "build"))
    assert len(containers()) == 1
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: containers() == [])


def test_without_an_engine_it_says_what_to_install(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make(tmp_path / "checkout", fresh_cache)
    finished = checkout.factory("build", "own-configuration", DOCKER_HOST="unix:///nowhere")
    assert finished.returncode == 4
    assert "Docker engine unix:///nowhere: " in finished.stderr


def containers() -> list[str]:
    """List the names of the containers that cibuildwheel started."""
    with connect() as client:
        return [name for one in client.api.containers(all=True) for name in one["Names"] if "cibuildwheel-" in name]
