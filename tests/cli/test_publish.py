"""The command `factory publish`, with a store that it reads; in parallel processes where that matters."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.errors import PublishError
from factory.model.artifacts import RepairedWheel
from factory.publish.ledger import Ledger
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.checkouts import FACTORY
from tests.support.records import record
from tests.support.upstream import Upstream
from tests.support.wheelmaker import add_provenance, make_wheel

pytestmark = [
    pytest.mark.usefixtures("upstream"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the store is root's: an ordinary user's command starts itself again"),
]


def built(folder: Path, name: str, *, passed: bool = True) -> Path:
    """Make a wheel with a record in the store."""
    path = make_wheel(folder / "wheels", name)
    kept = replace(record(sha256_of(path), passed=passed), name=name)
    Store(folder / "cache/store").add(kept, RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("any",)))
    return path


def command_of(folder: Path, *arguments: str | Path) -> list[str]:
    for name in ("recipes", "index"):
        (folder / name).mkdir(exist_ok=True)
    return ["publish", *map(str, arguments), "--output", str(folder / "out"), "--ledger", str(folder / "ledger")]


Publish = Callable[..., tuple[int, str]]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Publish:
    """Run the command in this process and return its status and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str | Path) -> tuple[int, str]:
        status = main(command_of(tmp_path, *arguments))
        return status, "".join(capsys.readouterr())

    return run


def start(folder: Path, wheel: Path) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    variables = {**os.environ, "FACTORY_CACHE": str(folder / "cache")}
    command = [*FACTORY, *command_of(folder, wheel)]
    nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=variables, stdout=nowhere, stderr=pipe, text=True)


def test_publish_named_wheels_with_provenance_only(tmp_path: Path, publish: Publish) -> None:
    one, _other = built(tmp_path, "one"), built(tmp_path, "other")
    add_provenance(one)
    (tmp_path / "site.toml").write_text('url = "https://wheels.example"\n')
    status, text = publish(one)
    assert status == 0, text
    (release,) = Ledger(tmp_path / "ledger").read()
    assert release.filename == one.name
    assert release.provenance_url == f"https://wheels.example/files/{one.name}.provenance"


def test_only_what_is_new_is_listed(tmp_path: Path, publish: Publish) -> None:
    one, two = built(tmp_path, "one"), built(tmp_path, "two")
    shown = [publish(wheel)[1] for wheel in (one, two, two)]
    assert [(one.name in text, two.name in text) for text in shown] == [(True, False), (False, True), (False, False)]
    for text, counts in zip(shown, ("1 file, 1 new", "2 files, 1 new", "2 files, 0 new"), strict=True):
        assert f"{counts} or changed, in {tmp_path / 'out'}" in text


def test_publish_writes_metadata_and_offers_it_after_upload(
    upstream: Upstream, tmp_path: Path, publish: Publish
) -> None:
    wheel, assets = built(tmp_path, "demo"), upstream.folder / "out/assets"
    assets.mkdir()
    shutil.copy(wheel, assets)
    url = f"{upstream.url}/assets"
    status, text = publish(wheel, "--url", url)
    assert status == 0, text
    assert f"METADATA is missing or has other bytes: {url}/{wheel.name}.metadata: " in text
    status, text = publish(wheel, "--write-metadata", assets)
    assert status == 0, text
    status, text = publish(wheel, "--url", url)
    assert (status, f"{wheel.name}.metadata" in text) == (0, False), text
    (release,) = Ledger(tmp_path / "ledger").read()
    assert release.metadata_sha256 == sha256_of(assets / f"{wheel.name}.metadata")


def test_publishers_at_once_lose_nothing(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    children = [start(tmp_path, built(tmp_path, name)) for name in names]
    answers = [(child.communicate(timeout=100)[1], child.returncode) for child in children]
    assert [status for _text, status in answers] == [0, 0, 0], answers
    assert {release.project for release in Ledger(tmp_path / "ledger").read()} == set(names)
    root = (tmp_path / "out/simple/index.html").read_text()
    assert all(f'href="{name}/"' in root for name in names)


def test_a_wheel_without_a_passing_record_is_refused(tmp_path: Path, publish: Publish) -> None:
    failed, strange = built(tmp_path, "failed", passed=False), make_wheel(tmp_path / "elsewhere", "strange")
    changed = make_wheel(tmp_path / "elsewhere", "good", code="ANSWER = 43\n")
    built(tmp_path, "good")
    for wheel in (failed, strange, changed):
        status, text = publish(wheel)
        assert status == PublishError.exit_code
        assert f"{wheel.name}: cannot publish: no build record" in text
        assert "factory build NAME" in text
    status, text = publish(tmp_path / "nothing.whl")
    assert (status, "nothing.whl: no such file" in text) == (PublishError.exit_code, True)
    assert Ledger(tmp_path / "ledger").read() == ()


def test_publish_shadowing_name_needs_recipe_permission(upstream: Upstream, tmp_path: Path, publish: Publish) -> None:
    upstream.add("demo", "0.1")
    wheel = built(tmp_path, "demo")
    status, text = publish(wheel)
    assert status == PublishError.exit_code
    assert "demo: cannot publish: the package index already" in text
    recipe = tmp_path / "recipes/demo/recipe.toml"
    recipe.parent.mkdir()
    source = '[source]\nkind = "local"\npath = "."\n'
    recipe.write_text(f'[package]\nname = "demo"\nversion = "1.0"\nshadows-upstream = true\n{source}')
    status, text = publish(wheel)
    assert status == 0, text
