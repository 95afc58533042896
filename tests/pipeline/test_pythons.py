"""Two packages for two Pythons by the real command: one wheel for each, and one wheel for both."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from factory.errors import RecipeError
from factory.model.recipe import AuditOptions
from factory.model.record import BuildRecord
from factory.model.target import PYTHONS, Target
from factory.publish.ledger import Ledger
from factory.publish.release import Built
from factory.stages.audit.auditor import audit_wheel
from factory.store.store import Store
from factory.util.paths import default_layout
from tests.support.checkouts import ONE_PROFILE, PACKAGES, Checkout, add_recipe, make_cache

SMOKE = """
import array, json, os, sys
import {module}
answer = {call}
result = {{"shown": f"{{answer}} on {{sys.version_info.major}}.{{sys.version_info.minor}}", "facts": {{}}}}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(result))
"""
CALLS = {"vectors-c": "vectors_c.sum(array.array('f', range(4)))", "stable-c": "stable_c.number('6 apples')"}
BOTH = ("--python", "3.13", "--python", "3.14")


def smoke(name: str) -> str:
    return SMOKE.format(module=name.replace("-", "_"), call=CALLS[name])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    root = tmp_path_factory.mktemp("pythons")
    for name in CALLS:
        add_recipe(root, name, more=ONE_PROFILE, smoke=smoke(name))
    return Checkout(root=root, cache=make_cache(root / "cache", default_layout()))


@pytest.fixture(scope="module")
def built(checkout: Checkout, layout: object, hybrid: object, clean_root: object) -> subprocess.CompletedProcess[str]:
    finished = checkout.factory("build", *CALLS, *BOTH)
    assert finished.returncode == 0, finished.stderr
    return finished


def records(checkout: Checkout) -> dict[tuple[str, str], BuildRecord]:
    return {(record.name, record.target.python): record for record in Store(checkout.cache / "store").records()}


@pytest.mark.environment
def test_each_python_gets_checked_wheel_within_glibc_tag(checkout: Checkout, built: object) -> None:
    store = Store(checkout.cache / "store")
    for python in PYTHONS:
        record = records(checkout)["vectors-c", python]
        tag = f"cp{python.replace('.', '')}"
        assert record.wheel.startswith(f"vectors_c-1.0-{tag}-{tag}-manylinux_2_")
        assert [(check.python, check.shown) for check in record.checks] == [(python, f"6.0 on {python}")]
        report = audit_wheel(store.wheel_path(record), AuditOptions(), Target(python=python))
        assert not [finding for finding in report.findings if finding.violation]
        assert all(tuple(map(int, (library.glibc or "0").split("."))) <= (2, 39) for library in report.libraries)


@pytest.mark.environment
def test_wheel_for_both_pythons_is_built_once(checkout: Checkout, built: subprocess.CompletedProcess[str]) -> None:
    first, second = (records(checkout)["stable-c", python] for python in PYTHONS)
    assert first.wheel.startswith("stable_c-1.0-cp311-abi3-manylinux_2_")
    assert (second.wheel_sha256, second.wheel_of) == (first.wheel_sha256, first.key)
    assert [record.checks[0].shown for record in (first, second)] == ["6.0 on 3.13", "6.0 on 3.14"]
    assert f"built for Python 3.13, {first.wheel}" in built.stderr
    assert "stable-c 1.0 for Python 3.14: build: started" not in built.stderr
    assert [stage.stage for stage in second.stages] == [stage.stage for stage in first.stages]


@pytest.mark.environment
def test_a_second_build_for_both_does_nothing(checkout: Checkout, built: object) -> None:
    again = checkout.factory("build", *CALLS, *BOTH)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already built") == 4
    assert "started" not in again.stderr


@pytest.mark.environment
def test_one_index_serves_both(checkout: Checkout, built: object, tmp_path: Path) -> None:
    published = checkout.factory("index", "--output", str(tmp_path / "out"), "--ledger", str(tmp_path / "ledger"))
    assert published.returncode == 0, published.stderr
    pythons = {
        release.filename.split("-manylinux")[0]: release.origin.pythons
        for release in Ledger(tmp_path / "ledger").read()
        if isinstance(release.origin, Built)
    }
    assert pythons == {
        "vectors_c-1.0-cp313-cp313": ("3.13",),
        "vectors_c-1.0-cp314-cp314": ("3.14",),
        "stable_c-1.0-cp311-abi3": ("3.13", "3.14"),
    }
    options = ("--index", str(tmp_path / "out"), "--python", "3.14", "--profile", "rv64gc", "--json")
    checked = checkout.factory("check", "vectors-c", *options)
    assert checked.returncode == 0, checked.stderr
    (result,) = json.loads(checked.stdout)
    assert (result["python"], result["shown"]) == ("3.14", "6.0 on 3.14")


@pytest.mark.environment
def test_the_shell_of_a_python_is_the_one_of_its_build(checkout: Checkout, built: object) -> None:
    inside = checkout.factory("shell", "vectors-c", "--python", "3.14", "--", "python3.14", "-c", "print('here')")
    assert (inside.returncode, inside.stdout) == (0, "here\n"), inside.stderr


@pytest.mark.environment
def test_wheel_checked_on_second_python_is_rebuilt_as_built(checkout: Checkout, built: object, tmp_path: Path) -> None:
    checked = records(checkout)["stable-c", "3.14"]
    rebuilt = checkout.factory("rebuild", "stable-c", "--record", checked.key, "--verify", "--output", str(tmp_path))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert f"same bytes: sha256 {checked.wheel_sha256}" in rebuilt.stderr


@pytest.mark.environment
def test_excluded_python_fails_before_environment_is_made(tmp_path: Path) -> None:
    source = tmp_path / "packages/stable-c"
    source.mkdir(parents=True)
    excluding = (PACKAGES / "stable-c/pyproject.toml").read_text().replace(">=3.11", ">=3.11,<3.14")
    (source / "pyproject.toml").write_text(excluding)
    add_recipe(tmp_path, "stable-c", more=ONE_PROFILE, smoke=smoke("stable-c"), packages=source.parent)
    failed = Checkout(root=tmp_path, cache=tmp_path / "cache").factory("build", "stable-c", *BOTH)
    assert failed.returncode == RecipeError.exit_code
    for words in ("stable-c 1.0 ", " Python 3.14: ", ">=3.11,<3.14", "--python 3.13"):
        assert words in failed.stderr
    assert not (tmp_path / "cache").exists()
