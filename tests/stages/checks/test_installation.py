"""Installation for checks: the wheel that was built stays installed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from factory.errors import CheckFailed
from factory.model.protocols import Command
from factory.model.recipe import CheckOptions, Recipe
from factory.stages.checks import installation, runner
from factory.stages.sources.local import LocalSource
from factory.util.log import LogSink
from factory.util.process import run
from tests.support.logs import MemoryLog
from tests.support.wheelmaker import make_wheel

NAME = "demo_of_ours"
FILES = {f"{NAME}/__init__.py": b"answer = 42\n", f"{NAME}/data, with comma.txt": b"x"}


@dataclass(frozen=True, kw_only=True)
class HostSandbox:
    """The machine itself as a root, with packages in the folder `site`."""

    work: Path
    inputs: Path
    site: Path
    commands: list[Command] = field(default_factory=list)

    def run(self, command: Command, *, log: LogSink) -> None:
        self.commands.append(command)
        if command.argv[0] == "python":
            words = [text.replace("/build", str(self.work)) for text in command.argv[1:] if text != "-I"]
            run([sys.executable, *words], log=log, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.site)})


def record_of(files: dict[str, bytes]) -> str:
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        shown = f'"{name}"' if "," in name else name
        lines.append(f"{shown},sha256={digest},{len(content)}\n")
    return "".join(lines)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    source = LocalSource(project=NAME, version="1.0", path=tmp_path)
    check = CheckOptions(requires=("pytest", "numpy"))
    return Recipe(name=NAME, version="1.0", directory=tmp_path, source=source, check=check)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / f"{NAME}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = f"{NAME}-1.0.dist-info"
        scripts = {f"{NAME}-1.0.data/scripts/demo": b"#!python\n"}
        archive.writestr(f"{info}/RECORD", record_of(FILES | scripts) + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def sandbox(tmp_path: Path) -> HostSandbox:
    made = HostSandbox(work=tmp_path / "work", inputs=tmp_path / "inputs", site=tmp_path / "site")
    for folder in (made.work, made.inputs, made.site / f"{NAME}-1.0.dist-info"):
        folder.mkdir(parents=True)
    (made.site / f"{NAME}-1.0.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    return made


def install_files(sandbox: HostSandbox, files: dict[str, bytes]) -> None:
    """Write the RECORD that pip writes after it installed these files."""
    more = f"{NAME}-1.0.dist-info/INSTALLER,sha256=x,4\nbin/demo,sha256=y,9\n"
    (sandbox.site / f"{NAME}-1.0.dist-info/RECORD").write_text(record_of(files) + more)


def test_installed_wheel_is_the_built_one(sandbox: HostSandbox, recipe: Recipe, wheel: Path, log: MemoryLog) -> None:
    install_files(sandbox, FILES)
    runner.require_installed(sandbox, recipe, wheel, log)


def test_other_build_of_the_package_fails(sandbox: HostSandbox, recipe: Recipe, wheel: Path, log: MemoryLog) -> None:
    install_files(sandbox, {**FILES, f"{NAME}/__init__.py": b"answer = 41\n"})
    with pytest.raises(CheckFailed, match=rf"is not the wheel {wheel.name}: {NAME}/__init__\.py differs") as caught:
        runner.require_installed(sandbox, recipe, wheel, log)
    assert "check.requires" in str(caught.value.hint)


def test_package_with_index_alone_is_installed_at_once(sandbox: HostSandbox, recipe: Recipe, log: MemoryLog) -> None:
    installation.install(sandbox, recipe, "http://localhost/simple/", ["numpy", "pytest", NAME], log)
    (own,) = (command.argv for command in sandbox.commands)
    assert own[-3:] == [f"{NAME}==1.0", "pytest", "numpy"]


def test_further_requirements_come_before_the_package(sandbox: HostSandbox, recipe: Recipe, log: MemoryLog) -> None:
    pinned = {"metadata": {"name": "pytest", "version": "9.0"}, "is_direct": False}
    (sandbox.work / installation.REPORT).write_text(json.dumps({"install": [pinned]}))
    for folder, name in ((installation.OWN, NAME), (installation.OTHERS, "pytest")):
        make_wheel(sandbox.work / folder, name)
        (sandbox.work / folder / "--target=x").write_text("no wheel")
    installation.install(sandbox, recipe, "http://localhost/simple/", ["numpy", NAME], log)
    assert (sandbox.inputs / installation.CONSTRAINTS).read_text() == f"{NAME}==1.0\n"
    networked = [command.argv for command in sandbox.commands if command.network]
    assert [argv[:3] for argv in networked] == [
        ["pip", "--isolated", "download"],
        ["pip", "install", "--dry-run"],
        ["pip", "wheel", "--no-deps"],
    ]
    assert networked[0][-2:] == [f"{NAME}==1.0", "numpy"]
    assert networked[1][-3:] == ["--constraint", "/inputs/constraints.txt", "pytest"]
    assert networked[2][-1] == "pytest==9.0"
    installed = [[word for word in command.argv if "/" in word] for command in sandbox.commands[-2:]]
    assert installed == [
        [f"/build/check-own/{NAME}-1.0-py3-none-any.whl"],
        ["/build/check-others/pytest-1.0-py3-none-any.whl"],
    ]
    assert not any(command.network for command in sandbox.commands[-2:])


@pytest.mark.parametrize("compiles", [True, False])
def test_installation_compiles_if_asked(
    sandbox: HostSandbox, recipe: Recipe, log: MemoryLog, *, compiles: bool
) -> None:
    url = "http://localhost/simple/"
    installation.install(sandbox, recipe, url, ["numpy", "pytest", NAME], log, compiles=compiles)
    (own,) = sandbox.commands
    assert ("--no-compile" in own.argv) != compiles
    assert own.env["SOURCE_DATE_EPOCH"] == ""


def test_package_without_dependencies_comes_alone(sandbox: HostSandbox, recipe: Recipe, log: MemoryLog) -> None:
    (sandbox.work / installation.OWN).mkdir()
    alone = replace(recipe, check=replace(recipe.check, dependencies=False))
    installation.install(sandbox, alone, "http://localhost/simple/", ["numpy", "pytest", NAME], log)
    downloads = [command.argv for command in sandbox.commands if command.network]
    assert [argv[-2:] for argv in downloads] == [["--no-deps", f"{NAME}==1.0"], ["pytest", "numpy"]]
    assert sum(not command.network for command in sandbox.commands) == 1


def test_report_of_another_form_fails(sandbox: HostSandbox, recipe: Recipe, log: MemoryLog) -> None:
    (sandbox.work / installation.REPORT).write_text("[]")
    with pytest.raises(CheckFailed, match=r"check\.requires: pip wrote no report"):
        installation.install(sandbox, recipe, "http://localhost/simple/", [NAME], log)
