"""Groups of a plan, each built with a cache of its own, as by one machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.errors import StoreError
from factory.util.paths import Layout
from tests.support.checkouts import ONE_PROFILE, SUMS, Checkout, add_recipe, copy_package, make_cache, make_checkout

pytestmark = pytest.mark.environment

BUILDS = {"1-1": "vectors-c", "2-1": "after-c"}


def write_plan(file: Path) -> Path:
    waves = [
        [{"id": group, "minutes": 1, "builds": [{"name": name, "version": "1.0", "python": "3.13", "reason": "new"}]}]
        for group, name in BUILDS.items()
    ]
    file.write_text(json.dumps({"waves": waves}))
    return file


def test_group_takes_needs_from_the_store_alone(
    fresh_cache: Path, tmp_path: Path, layout: Layout, hybrid: object, clean_root: object
) -> None:
    root, plan = tmp_path / "checkout", write_plan(tmp_path / "plan.json")
    first = make_checkout(root, fresh_cache, more=ONE_PROFILE)
    copy_package(tmp_path / "packages", "after-c", requires='"setuptools>=77", "vectors-c"')
    add_recipe(root, "after-c", more=ONE_PROFILE, smoke=SUMS, packages=tmp_path / "packages")
    second = Checkout(root=root, cache=make_cache(tmp_path / "second", layout))

    summary = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    alone = second.factory("build", "--plan", str(plan), "--group", "2-1", **summary)
    assert alone.returncode == StoreError.exit_code, alone.stderr
    assert "vectors-c 1.0: not in the store: no group has built it" in alone.stderr
    assert "after-c" in (tmp_path / "summary.md").read_text()

    built = first.factory("build", "--plan", str(plan), "--group", "1-1", **summary)
    assert built.returncode == 0, built.stderr
    exported = first.factory("cache", "export", "--new", str(tmp_path / "built-1-1.tar.zst"))
    assert exported.returncode == 0, exported.stderr
    assert second.factory("cache", "import", str(tmp_path)).returncode == 0
    finished = second.factory("build", "--plan", str(plan), "--group", "2-1", **summary)
    assert finished.returncode == 0, finished.stderr
    assert "vectors-c 1.0: build" not in finished.stderr
    assert (tmp_path / "summary.md").read_text().splitlines()[-1].startswith("| after-c | 1.0 | 3.13 |")
    third = Checkout(root=root, cache=make_cache(tmp_path / "third", layout))
    taken = third.factory("build", "--plan", str(plan), "--group", "2-1", "--substitute", str(signed(first, tmp_path)))
    assert taken.returncode == 0, taken.stderr
    assert "vectors-c 1.0: taken from " in taken.stderr
    assert "after-c 1.0: build: done" in taken.stderr
    planned = second.factory("plan", "--all", "--github-matrix")
    assert json.loads(planned.stdout) == [[]] * 6


def signed(checkout: Checkout, folder: Path) -> Path:
    """Publish the builds of a checkout with signatures that it trusts; return the index."""
    pytest.importorskip("securesystemslib", reason="the extra `provenance` is not installed")
    key, index = folder / "key.pem", folder / "out"
    for command in (
        ["attest", "--new-key", str(key)],
        ["attest", "--key", str(key)],
        ["index", "--output", str(index), "--ledger", str(folder / "ledger")],
    ):
        done = checkout.factory(*command)
        assert done.returncode == 0, done.stderr
    (checkout.root / "index").mkdir()
    (checkout.root / "index/site.toml").write_text(f'[[signers]]\nname = "we"\nkey = "{key}.pub"\n')
    return index
