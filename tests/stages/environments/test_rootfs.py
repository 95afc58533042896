"""Real roots: programs, isolation from the host, and cleanup."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from factory.errors import CommandFailed
from factory.model.artifacts import PackagePin
from factory.model.job import ProjectMetadata
from factory.model.protocols import Command
from factory.model.recipe import Recipe
from factory.model.target import PROFILES
from factory.stages.builders import native_python, pep517
from factory.stages.builders.base import Build
from factory.stages.environments.base import Root, RootRequest
from factory.stages.environments.layers import LayerStore
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import hybrid_root
from factory.stages.sources.local import LocalSource
from factory.util.log import LogFile, LogSink
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.sandboxes import said

pytestmark = pytest.mark.environment


def test_python_is_riscv64_and_compiler_is_native(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    script = """
        python3 -c 'import platform, sysconfig; print(platform.machine(), sysconfig.get_platform())'
        python3 -c 'print(open("/opt/native/bin/gcc", "rb").read()[18])'
        gcc -dumpmachine
        for tool in ninja ccache uv make patchelf; do $tool --version > /dev/null || echo no $tool; done; echo tools
    """
    assert said(hybrid, tmp_path / "work", script).split("\n") == [
        "riscv64 linux-riscv64",
        "62",  # EM_X86_64
        "riscv64-linux-gnu",
        "tools",
    ]


def test_uv_is_native_and_in_lock_with_its_version(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    shown = said(hybrid, tmp_path / "work", "command -v uv && uv --version").split()
    assert shown[:2] == ["/opt/native/bin/uv", "uv"]
    assert PackagePin(name="uv", version=shown[2], architecture="amd64") in hybrid.root.lock()


def test_shell_is_native_and_machine_is_riscv64(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    script = """
        python3 -c 'print(open("/bin/sh", "rb").read()[18])'
        uname -m
    """
    assert said(hybrid, tmp_path / "work", script).split() == ["62", "riscv64"]


def test_output_of_native_compiler_runs(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    script = r"""
        printf '#include <iostream>\nint main() { std::cout << __riscv_xlen << std::endl; }\n' > /tmp/x.cpp
        g++ -O1 -o /tmp/x /tmp/x.cpp && /tmp/x
        printf '      end program\n' > /tmp/f.f && gfortran -c -o /tmp/f.o /tmp/f.f && echo fortran
    """
    assert said(hybrid, tmp_path / "work", script).split() == ["64", "fortran"]


def test_compiler_targets_baseline(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    script = "echo 'int x;' > /tmp/x.c && gcc -c -o /tmp/x.o /tmp/x.c && readelf -A /tmp/x.o | grep -o 'rv64[a-z0-9_]*'"
    arch = said(hybrid, tmp_path / "work", script)
    extensions = {part.rstrip("0123456789p") for part in arch.removeprefix("rv64").split("_")}
    assert (
        extensions
        == {"i", "m", "a", "f", "d", "c", "zicsr", "zifencei", "zmmul", "zaamo", "zalrsc", "zca", "zcd"} & extensions
    )


def test_builds_have_no_network(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    script = "cat /proc/net/dev | tail -n +3 | cut -d: -f1"
    assert said(hybrid, tmp_path / "work", script) == "lo"


def test_native_programs_see_a_riscv64_cpuinfo(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    script = (
        "echo '$(info $(filter rv64%,$(file < /proc/cpuinfo)))' > /tmp/Makefile && make -s -f /tmp/Makefile || true"
    )
    assert said(hybrid, tmp_path / "work", script) == "rv64imafdc"


def test_host_variables_are_not_passed(
    hybrid: RootfsEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-march=native")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert said(hybrid, tmp_path / "work", "echo CFLAGS=$CFLAGS PYTHONPATH=$PYTHONPATH") == "CFLAGS= PYTHONPATH="


def test_changes_outside_work_folder_are_discarded(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    assert said(hybrid, tmp_path / "one", "echo left > /usr/left; echo kept > /build/kept; cat /usr/left") == "left"
    assert (tmp_path / "one/kept").read_text() == "kept\n"
    assert said(hybrid, tmp_path / "two", "ls /usr/left 2>/dev/null || echo gone") == "gone"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["one", "two"]


def test_kept_changes_are_visible_only_with_as_left(hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    look = ["sh", "-c", "ls /usr/left 2>/dev/null || echo gone"]
    with hybrid.open(tmp_path / "work", keep=True, caches="test") as sandbox:
        sandbox.run(Command(["touch", "/usr/left"]), log=log)
    for as_left, seen in ((True, "/usr/left"), (False, "gone")):
        log.text = ""
        with hybrid.open(tmp_path / "work", keep=True, as_left=as_left, caches="test") as sandbox:
            sandbox.run(Command(look), log=log)
        assert seen in log.text.splitlines()


def test_close_leaves_no_mounts(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    said(hybrid, tmp_path / "work", "true")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_failed_command_reports_status_and_last_lines(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    with (
        pytest.raises(CommandFailed, match="sh failed with exit status 7") as caught,
        hybrid.open(tmp_path / "work", caches="test") as sandbox,
    ):
        sandbox.run(Command(["sh", "-c", "echo the reason; exit 7"]), log=LogFile(tmp_path / "log"))
    assert caught.value.output == "the reason"
    assert caught.value.status == 7


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("rv64gc", "V=0 Zvfh=0"),
        ("rva22", "V=0 Zvfh=0"),
        ("rvv128", "V=1 Zvfh=0 vlenb=16"),
        ("k1", "V=1 Zvfh=1 vlenb=32"),
        ("rva23", "V=1 Zvfh=0 vlenb=16"),
        ("vlen512", "V=1 Zvfh=1 vlenb=64"),
        ("vlen1024", "V=1 Zvfh=1 vlenb=128"),
    ],
)
def test_each_profile_has_extensions_of_its_cpu(
    hybrid: RootfsEnvironment, tmp_path: Path, profile: str, expected: str
) -> None:
    source = Path(__file__).with_name("hwprobe.c")
    work = tmp_path / "work"
    work.mkdir()
    (work / "hwprobe.c").write_text(source.read_text())
    build_and_run = "gcc -O1 -o /build/hwprobe /build/hwprobe.c && /build/hwprobe"
    assert said(hybrid, work, build_and_run, cpu=PROFILES[profile].qemu_cpu) == expected


def test_check_root_has_python_and_no_compiler(clean_root: RootfsEnvironment, tmp_path: Path) -> None:
    script = """
        which gcc cc make ninja; ls /opt
        python -c 'import sys; print(sys.version_info[:2], sys.prefix)'
        pip list --format freeze
    """
    lines = said(clean_root, tmp_path / "work", script).split("\n")
    assert lines[:2] == ["venv", "(3, 13) /opt/venv"]
    assert [line.split("==")[0] for line in lines[2:]] == ["pip"]


def test_pip_in_root_uses_host_certificates_and_index(
    clean_root: RootfsEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "company.pem"
    bundle.write_text("a private authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    script = "cat $SSL_CERT_FILE $PIP_CERT; echo; echo $https_proxy; pip config list | grep index-url"
    assert said(clean_root, tmp_path / "work", script, network=True).split("\n") == [
        "a private authoritya private authority",
        "http://127.0.0.1:9",
        ":env:.index-url='https://index.example/simple'",
    ]


def test_lock_lists_every_package_with_version(hybrid: RootfsEnvironment) -> None:
    lock = {(pin.name, pin.architecture): pin.version for pin in hybrid.root.lock()}
    assert lock["libc6", "riscv64"] == lock["libc6", "amd64"]
    assert ("python3.13", "riscv64") in lock
    assert ("gcc-14-riscv64-linux-gnu", "amd64") in lock


def test_packages_of_recipe_are_one_layer_made_once(hybrid: RootfsEnvironment, layout: Layout, tmp_path: Path) -> None:
    with_sqlite = with_packages(layout, "libsqlite3-dev")
    assert (
        said(RootfsEnvironment(root=with_sqlite, layout=layout), tmp_path / "with", "ls /usr/include/sqlite3.h")
        == "/usr/include/sqlite3.h"
    )
    assert said(hybrid, tmp_path / "without", "ls /usr/include/sqlite3.h 2>/dev/null || echo none") == "none"
    assert with_sqlite.key != hybrid.root.key
    assert {pin.name for pin in with_sqlite.lock()} - {pin.name for pin in hybrid.root.lock()} >= {"libsqlite3-dev"}
    assert (
        hybrid_root(LayerStore(layout=layout, open_stage=never), RootRequest(apt=("libsqlite3-dev",))).key
        == with_sqlite.key
    )


def with_packages(layout: Layout, *apt: str) -> Root:
    return hybrid_root(layer_store(layout), RootRequest(apt=apt))


def never(stage: str) -> AbstractContextManager[LogSink]:
    raise AssertionError(f"{stage} was made again")


def test_installed_debian_packages_are_accepted(layout: Layout, hybrid: RootfsEnvironment) -> None:
    assert set(hybrid.root.lock()) == set(with_packages(layout, "zlib1g-dev").lock())


def test_native_cmake_and_cython_see_riscv64_machine(hybrid: RootfsEnvironment, tmp_path: Path) -> None:
    recipe = Recipe(
        name="demo",
        version="1",
        directory=tmp_path,
        source=LocalSource(project="demo", version="1", path=tmp_path),
    )
    wanted = ProjectMetadata(
        name="demo",
        version="1",
        build_backend="setuptools.build_meta",
        build_requires=("setuptools", "cmake", "cython"),
    )
    source = tmp_path / "work/src"
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text("")
    (source / "x.pyx").write_text("def f(int x): return x + 1\n")
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(x C)\n"
        'file(WRITE seen "${CMAKE_HOST_SYSTEM_PROCESSOR} ${CMAKE_SYSTEM_PROCESSOR} ${CMAKE_LIBRARY_ARCHITECTURE}")\n'
    )
    log = LogFile(tmp_path / "log")
    with hybrid.open(tmp_path / "work", caches="test") as sandbox:
        build = Build(
            sandbox=sandbox, folder=sandbox.work.parent, recipe=recipe, metadata=wanted, python="3.13", log=log
        )
        pep517.install_requirements(build, ())
        sandbox.run(Command(["sh", "-c", "cd src && cmake -G Ninja -B /tmp/b . && cython -3 x.pyx"]), log=log)
        assert native_python.machine(build) == native_python.X86_64
    machine = (tmp_path / "work/venv/lib/python3.13/site-packages/cmake/data/bin/cmake").read_bytes()[18]
    assert machine == 62  # EM_X86_64
    assert (source / "seen").read_text() == "riscv64 riscv64 riscv64-linux-gnu"
    assert "PyInit_x" in (source / "x.c").read_text()
    compiled = tmp_path / "work/venv/lib/python3.13/site-packages/setuptools/__pycache__/build_meta.cpython-313.pyc"
    assert compiled.is_file()
