"""The manylinux root: interpreters, tools, and pip on the native Python."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from factory.cli.commands.image import repository_and_tag
from factory.errors import CommandFailed
from factory.model.protocols import Command
from factory.model.target import PYTHONS
from factory.stages.environments.base import RootRequest
from factory.stages.environments.inside.sitecustomize import tool
from factory.stages.environments.manylinux import manylinux_root
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.paths import Layout
from tests.support.checkouts import FACTORY
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog

# Stands for a tool that runs natively; reports the platform that it and its child processes see.
WITNESS = """
import json, os, platform, subprocess, sys, sysconfig
program = "import os; print(os.readlink('/proc/self/exe'))"
print("WITNESS", json.dumps({
    "runs on": os.readlink("/proc/self/exe"),
    "machine": platform.machine(),
    "platform": sysconfig.get_platform(),
    "suffix": sysconfig.get_config_var("EXT_SUFFIX"),
    "prefix": sys.prefix,
    "purelib": sysconfig.get_path("purelib"),
    "arguments": sys.argv[1:],
    "starts": subprocess.check_output([sys.executable, "-c", program], text=True).strip(),
}))
"""
TOO_NEW = """
#define _GNU_SOURCE
#include <sched.h>
void *PyInit_new(void) { return (void *) (long) sched_setattr(0, 0, 0); }
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-m pip install numpy", ("pip", None, ["install", "numpy"])),
        ("-Im build --wheel", ("build", None, ["--wheel"])),
        ("-I -s -m virtualenv venv", ("virtualenv", None, ["venv"])),
        ("/x/pip/__pip-runner__.py wheel .", (None, "/x/pip/__pip-runner__.py", ["wheel", "."])),
        ("PREFIX/bin/pip list", (None, "PREFIX/bin/pip", ["list"])),
        ("/home/me/pip list", None),
        ("-m pytest", None),
        ("-m", None),
        ("-W ignore -m pip list", None),
        ("-c pip", None),
        ("setup.py bdist_wheel", None),
        ("", None),
    ],
)
def test_tool_is_recognized_by_command_line(
    line: str, expected: tuple[str | None, str | None, list[str]] | None
) -> None:
    def here(word: str) -> str:
        return word.replace("PREFIX", os.path.realpath(sys.prefix))

    module, script, arguments = expected or (None, None, [])
    named = (module, script and here(script), arguments) if expected else None
    assert tool([here(word) for word in line.split()]) == named


@pytest.fixture(scope="module")
def manylinux(layout: Layout) -> RootfsEnvironment:
    return RootfsEnvironment(root=manylinux_root(layer_store(layout), "hybrid", RootRequest()), layout=layout)


def said(environment: RootfsEnvironment, work: Path, command: str) -> str:
    """Return the output of a shell command in the root."""
    log = MemoryLog()
    with environment.open(work, caches="test") as sandbox:
        sandbox.run(Command(["bash", "-c", command]), log=log)
    return log.text


@pytest.mark.environment
def test_every_interpreter_has_pip_and_build(manylinux: RootfsEnvironment, tmp_path: Path) -> None:
    for python in PYTHONS:
        tag = f"cp{python.replace('.', '')}"
        text = said(
            manylinux,
            tmp_path / tag,
            f"cd /opt/python/{tag}-{tag}/bin && ./pip --version && ./python -m build --version",
        )
        assert f"(python {python})" in text
        assert f"(/opt/python/{tag}-{tag}/lib/python{python}/site-packages/build)" in text


@pytest.mark.environment
def test_missing_interpreter_lists_available_ones(manylinux: RootfsEnvironment, tmp_path: Path) -> None:
    ensure = "manylinux-interpreters ensure"
    text = said(
        manylinux,
        tmp_path / "work",
        f"{ensure} cp313-cp313 cp314-cp314 && echo both; {ensure} cp39-cp39 || echo status $?",
    )
    assert "\nboth\n" in text
    assert "no cp39-cp39 " in text
    assert " cp313-cp313 cp314-cp314: " in text
    assert "\nstatus 1\n" in text


@pytest.mark.environment
@pytest.mark.parametrize("python", PYTHONS)
def test_native_tools_see_and_start_riscv64_interpreter(
    manylinux: RootfsEnvironment, tmp_path: Path, python: str
) -> None:
    digits = python.replace(".", "")
    prefix = f"/opt/python/cp{digits}-cp{digits}"
    (tmp_path / "work").mkdir()
    (tmp_path / "work/virtualenv.py").write_text(WITNESS)
    command = f"PYTHONPATH=/build {prefix}/bin/python -m virtualenv --some 'two words'"
    text = said(manylinux, tmp_path / "work", command)
    seen = json.loads(text.partition("WITNESS ")[2].splitlines()[0])
    assert seen == {
        "runs on": f"/opt/native/usr/bin/python{python}",
        "machine": "riscv64",
        "platform": "linux-riscv64",
        "suffix": f".cpython-{digits}-riscv64-linux-gnu.so",
        "prefix": prefix,
        "purelib": f"{prefix}/lib/python{python}/site-packages",
        "arguments": ["--some", "two words"],
        "starts": f"/usr/bin/python{python}",
    }


@pytest.mark.environment
def test_auditwheel_is_limited_to_target_glibc(manylinux: RootfsEnvironment, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "new.c").write_text(TOO_NEW)
    with manylinux.open(work, caches="test") as sandbox:
        sandbox.run(Command(["gcc", "-shared", "-fPIC", "-o", "new.so", "new.c"]), log=MemoryLog())
        write_wheel(work, "new-1-py3-none-linux_riscv64.whl", work / "new.so")
        with pytest.raises(CommandFailed) as caught:
            sandbox.run(Command(["auditwheel", "repair", "new-1-py3-none-linux_riscv64.whl"]), log=MemoryLog())
    assert "too-recent versioned symbols" in caught.value.output


def write_wheel(folder: Path, name: str, library: Path) -> None:
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.write(library, "new.so")
        tag = name.removesuffix(".whl").split("-", 2)[2]
        wheel.writestr("new-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: new\nVersion: 1\n")
        wheel.writestr("new-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr("new-1.dist-info/RECORD", "new.so,,\n")


@pytest.mark.environment
def test_image_archive_needs_no_engine(manylinux: RootfsEnvironment, tmp_path: Path) -> None:
    command = [*FACTORY, "image", "--cibuildwheel", "--tag", "my/image", "--output", "image.tar"]
    variables = {**os.environ, "DOCKER_HOST": "unix:///nowhere"}
    finished = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == [
        "CIBW_MANYLINUX_RISCV64_IMAGE=my/image:latest",
        "CIBW_ARCHS=riscv64",
        "CIBW_BUILD=cp313-manylinux* cp314-manylinux*",
    ]
    assert "docker load --input image.tar" in finished.stderr
    with tarfile.open(tmp_path / "image.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        config = json.load(archive.extractfile(manifest["Config"]) or io.BytesIO())
    (tmp_path / "image.tar").unlink()
    assert manifest["RepoTags"] == ["my/image:latest"]
    assert config["architecture"] == "riscv64"
    assert "AUDITWHEEL_PLAT=manylinux_2_39_riscv64" in config["config"]["Env"]


def test_registry_port_is_not_a_tag() -> None:
    assert repository_and_tag("localhost:5000/image") == ("localhost:5000/image", "latest")
    assert repository_and_tag("localhost:5000/image:one") == ("localhost:5000/image", "one")
    assert repository_and_tag("image") == ("image", "latest")
