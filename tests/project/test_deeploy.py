"""C that Deeploy generates on a PC, compiled by the factory's compilers and run on a board's CPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from factory.model.protocols import Command
from factory.model.target import PROFILES
from factory.stages.environments.rootfs import RootfsEnvironment
from tests.support.logs import MemoryLog
from tests.support.users import uv_run

pytestmark = pytest.mark.main_job

FOLDER = Path(__file__).with_name("deeploy")
VERSION = "0.2.1"
# Deeploy asks for versions that no newer Python can have; with these it works.
USED = ("numpy", "onnx", "onnx-graphsurgeon", "mako", "coloredlogs", "protobuf", "ortools", "plotly")


@pytest.fixture(scope="module")
def program(hybrid: RootfsEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the compiled network, its inputs and the outputs that numpy computes."""
    folder = tmp_path_factory.mktemp("deeploy")
    packages = folder / "packages"
    install = ("pip", "install", "--quiet", "--python", sys.executable, "--target", packages)
    uv_run(*install, *USED)
    uv_run(*install, "--no-deps", f"deeploy-pulp=={VERSION}")
    generate = [sys.executable, str(FOLDER / "generate.py")]
    subprocess.run(generate, cwd=folder, env={**os.environ, "PYTHONPATH": str(packages)}, check=True)
    shutil.rmtree(packages)
    shutil.copy(FOLDER / "DeeployBasicMath.h", folder)
    with hybrid.open(folder, caches="test") as sandbox:
        sandbox.run(Command(["gcc", "-O2", "-I.", "network.c", "-lm", "-o", "network"]), log=MemoryLog())
    return folder


@pytest.mark.parametrize("profile", ["rv64gc", "vlen1024"])
def test_deeploys_network_gives_numpys_numbers(hybrid: RootfsEnvironment, program: Path, profile: str) -> None:
    command = Command(["sh", "-c", "./network < inputs.txt > found.txt"], cpu=PROFILES[profile].qemu_cpu)
    with hybrid.open(program, caches="test") as sandbox:
        sandbox.run(command, log=MemoryLog())
    found, expected = ((program / name).read_text().split() for name in ("found.txt", "outputs.txt"))
    assert len(found) == 20 * 4
    assert list(map(float, found)) == pytest.approx(list(map(float, expected)), rel=1e-5)
