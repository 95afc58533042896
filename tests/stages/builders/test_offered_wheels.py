"""Tests of our wheels among a build's requirements."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from factory.errors import BuildFailed
from factory.model.job import ProjectMetadata
from factory.model.protocols import Sandbox
from factory.model.recipe import Recipe
from factory.stages.builders import pep517
from factory.stages.builders.base import Build
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.sources.local import LocalSource
from tests.support.index_server import IndexServer, serve
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment


def write_wheel(folder: Path, text: str, version: str = "1.0") -> Path:
    folder.mkdir()
    wheel = folder / f"spam_of_ours-{version}-py3-none-any.whl"
    info = f"spam_of_ours-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("spam_of_ours.py", text)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: spam-of-ours\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return wheel


def install(sandbox: Sandbox, requirement: str, wheel: Path, log: MemoryLog, others: Collection[str] = ()) -> str:
    """Install a build's requirement with `wheel` offered; return the content of the installed module.

    Projects `others` have recipes.
    """
    pin = LocalSource(project="eggs", version="1.0", path=Path("eggs"))
    recipe = Recipe(name="eggs", version="1.0", directory=Path("eggs"), source=pin)
    wanted = ProjectMetadata(
        name="eggs", version="1.0", build_backend="noop", backend_path=(".",), build_requires=(requirement,)
    )
    (sandbox.work / "src").mkdir(exist_ok=True)
    (sandbox.work / "src/noop.py").touch()
    have_recipes = {"Spam.of_ours", *others}
    build = Build(
        sandbox=sandbox,
        folder=sandbox.work.parent,
        recipe=recipe,
        metadata=wanted,
        python="3.13",
        log=log,
        have_recipes=have_recipes,
    )
    pep517.install_requirements(build, (wheel,))
    (installed,) = sandbox.work.glob("venv/lib/python3*/site-packages/spam_of_ours.py")
    return installed.read_text()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """Serve an index, the only one that builds use."""
    with serve() as served:
        for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
            monkeypatch.setenv(name, served.simple)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1")
        yield served


@pytest.fixture
def sandbox(hybrid: RootfsEnvironment, tmp_path: Path) -> Iterator[Sandbox]:
    with hybrid.open(tmp_path / "work", caches="test") as opened:
        yield opened


def test_offered_wheel_of_same_name_with_other_bytes_is_used(sandbox: Sandbox, tmp_path: Path, log: MemoryLog) -> None:
    for text in ("first = 1\n", "second = 2\n"):
        wheel = write_wheel(tmp_path / text[0], text)
        assert install(sandbox, "spam-of-ours", wheel, log) == text


def test_offered_wheel_wins_over_newer_version_on_index(
    index: IndexServer, sandbox: Sandbox, tmp_path: Path, log: MemoryLog
) -> None:
    ours = write_wheel(tmp_path / "ours", "ours = 1\n")
    for version in ("1.0", "1.1"):
        theirs = write_wheel(tmp_path / version, "theirs = 1\n", version)
        index.add(theirs.name, theirs.read_bytes())
    assert install(sandbox, "spam-of-ours", ours, log) == "ours = 1\n"
    with pytest.raises(BuildFailed, match=r"you require spam-of-ours>=1\.1") as caught:
        install(sandbox, "spam-of-ours>=1.1", ours, log)
    assert "our own recipe builds another version" in (caught.value.hint or "")


def test_project_with_a_recipe_is_not_compiled_for_a_build(
    index: IndexServer, sandbox: Sandbox, tmp_path: Path, log: MemoryLog
) -> None:
    """The plan did not know that the build needs it."""
    ours = write_wheel(tmp_path / "ours", "ours = 1\n")
    index.add("eggs_of_ours-1.0.tar.gz", b"")
    with pytest.raises(BuildFailed) as caught:
        install(sandbox, "eggs-of-ours", ours, log, others=["eggs-of-ours"])
    assert 'add "eggs-of-ours" to [build] requires' in (caught.value.hint or "")
