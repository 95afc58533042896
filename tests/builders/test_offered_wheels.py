"""Our own wheels among a build's requirements."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from factory.builders import pep517
from factory.environments.rootfs import RootfsEnvironment
from factory.model import ProjectMetadata, Recipe, SourcePin
from tests.conftest import MemoryLog

pytestmark = pytest.mark.environment


def write_wheel(folder: Path, text: str) -> Path:
    folder.mkdir()
    wheel = folder / "spam_of_ours-1.0-py3-none-any.whl"
    info = "spam_of_ours-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("spam_of_ours.py", text)
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: spam-of-ours\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return wheel


def test_a_wheel_of_the_same_name_with_other_content_is_not_taken_for_the_one_before(
    hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog
) -> None:
    pin = SourcePin(kind="local", project="eggs", version="1.0")
    recipe = Recipe(name="eggs", version="1.0", directory=Path("eggs"), source=pin)
    wanted = ProjectMetadata(
        name="eggs", version="1.0", build_backend="noop", backend_path=(".",), build_requires=("spam-of-ours",)
    )
    with hybrid.open(tmp_path / "work") as sandbox:
        (sandbox.work / "src").mkdir()
        (sandbox.work / "src/noop.py").touch()
        for text in ("first = 1\n", "second = 2\n"):
            wheel = write_wheel(tmp_path / text[0], text)
            pep517.install_requirements(sandbox, wanted, recipe, "3.13", (wheel,), log)
            (installed,) = sandbox.work.glob("venv/lib/python3*/site-packages/spam_of_ours.py")
            assert installed.read_text() == text
