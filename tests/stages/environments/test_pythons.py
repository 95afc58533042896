"""Pythons of a later suite, over the base's glibc."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.model.distribution import TRIXIE
from factory.model.job import ProjectMetadata
from factory.model.protocols import Command
from factory.model.recipe import Recipe
from factory.model.target import PYTHONS
from factory.stages.builders import native_python, pep517
from factory.stages.builders.base import Build
from factory.stages.environments.base import RootRequest
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import check_root, hybrid_root
from factory.stages.sources.local import LocalSource
from factory.util.log import LogFile
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.sandboxes import said

LATER = list(TRIXIE.later_pythons)
TERMINAL = """
import os, pty, termios
child, terminal = pty.fork()
if not child:
    assert termios.tcgetattr(0)[5] == termios.B38400
    os.write(1, b"as the glibc says")
    raise SystemExit
print(os.read(terminal, 100).decode())
"""


def test_target_pythons_equal_those_of_the_distribution() -> None:
    assert TRIXIE.pythons == PYTHONS


@pytest.fixture(scope="module", params=LATER)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build_root(layout: Layout, python: str) -> RootfsEnvironment:
    return RootfsEnvironment(root=hybrid_root(layer_store(layout), RootRequest(python=python)), layout=layout)


@pytest.mark.environment
def test_later_python_runs_on_base_glibc(build_root: RootfsEnvironment, python: str, tmp_path: Path) -> None:
    lock = {(pin.name, pin.architecture): pin.version for pin in build_root.root.lock()}
    script = f"python{python} -c 'import os, sys; print(*sys.version_info[:2], os.confstr(\"CS_GNU_LIBC_VERSION\"))'"
    glibc = lock["libc6", "riscv64"].partition("-")[0]
    assert said(build_root, tmp_path / "work", script) == f"{python.replace('.', ' ')} glibc {glibc}"
    assert lock[f"python{python}", "riscv64"].startswith(f"{python}.")
    assert f"python{python}" in build_root.root.toolchain()


@pytest.mark.environment
def test_later_python_has_termios_of_base_glibc(build_root: RootfsEnvironment, python: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "terminal.py").write_text(TERMINAL)
    assert said(build_root, work, f"python{python} /build/terminal.py") == "as the glibc says"


@pytest.mark.environment
def test_check_root_of_later_python_has_empty_venv(layout: Layout, python: str, tmp_path: Path) -> None:
    clean = RootfsEnvironment(root=check_root(layer_store(layout), python), layout=layout)
    script = "python -c 'import sys; print(sys.version_info[:2], sys.prefix)'; pip list --format freeze; which gcc"
    version, pip = said(clean, tmp_path / "work", f"{script} || true").splitlines()
    assert version == f"{tuple(map(int, python.split('.')))} /opt/venv"
    assert pip.startswith("pip==")


@pytest.mark.environment
def test_cython_for_later_python_runs_natively(build_root: RootfsEnvironment, python: str, tmp_path: Path) -> None:
    pin = LocalSource(project="demo", version="1", path=tmp_path)
    recipe = Recipe(name="demo", version="1", directory=tmp_path, source=pin)
    wanted = ProjectMetadata(
        name="demo", version="1", build_backend="setuptools.build_meta", build_requires=("setuptools", "cython")
    )
    source = tmp_path / "work/src"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text("")
    (source / "double.pyx").write_text("def twice(int x): return 2 * x\n")
    script = f"""
        cd /build/src && cython -3 double.pyx
        gcc -shared -fPIC $(python{python}-config --includes) -o double.so double.c
        /build/venv/bin/python -c 'import double, sys; print(double.twice(21), sys.version_info[:2])' > /build/said
    """
    log = LogFile(tmp_path / "log")
    with build_root.open(tmp_path / "work", caches="test") as sandbox:
        build = Build(
            sandbox=sandbox, folder=sandbox.work.parent, recipe=recipe, metadata=wanted, python=python, log=log
        )
        pep517.install_requirements(build, ())
        sandbox.run(Command(["sh", "-c", script]), log=log)
        assert native_python.machine(build) == native_python.X86_64
    compiled = f"venv/lib/python{python}/site-packages/setuptools/__pycache__/*.cpython-{python.replace('.', '')}.pyc"
    assert list((tmp_path / "work").glob(compiled))
    assert (tmp_path / "work/said").read_text().strip() == f"42 {tuple(map(int, python.split('.')))}"


@pytest.mark.environment
def test_python_of_unknown_suite_reports_hint(layout: Layout) -> None:
    debian = DebianLayers(layer_store(layout), replace(TRIXIE, later_pythons={"3.14": "no-such-suite"}))
    with pytest.raises(EnvironmentSetupError, match=r"^Python 3\.14 of no-such-suite: ") as caught:
        debian.python(debian.base(), "3.14")
    assert "does not have a Release file" in caught.value.message
    assert "retry later" in (caught.value.hint or "")
