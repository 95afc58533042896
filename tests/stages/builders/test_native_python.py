"""Tests of the native Python of builds: its answers, and where it gives way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.errors import CommandFailed
from factory.model.job import ProjectMetadata
from factory.model.protocols import SOURCE, Command, Sandbox
from factory.model.recipe import BuildOptions, Recipe
from factory.model.target import PYTHONS
from factory.stages.builders import native_python, pep517
from factory.stages.builders.base import Build
from factory.stages.builders.native_python import NeedsRiscv64Python
from factory.stages.environments.base import RootRequest
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.roots import debian_root, hybrid_root
from factory.stages.sources.local import LocalSource
from factory.util.paths import Layout
from tests.support import python_facts
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment

# The native Python has a function of its own here.
WHICH = "import os; print('native' if hasattr(os.uname, '__code__') else 'riscv64')"
RISCV64 = "env --argv0=/build/venv/bin/python3 /build/venv/riscv64"
EXTENSION = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "compiled"};
PyMODINIT_FUNC PyInit_compiled(void) { return PyModuleDef_Init(&module); }
"""
COMPILE = """
suffix=$(python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
include=$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')
gcc -shared -fPIC -I "$include" compiled.c -o "$(echo /build/venv/lib/python3*/site-packages)/compiled$suffix"
"""
BY_PATH = (
    "import glob, importlib.util as u; path, = glob.glob('/build/venv/lib/*/*/compiled*'); "
    "u.module_from_spec(u.spec_from_file_location('compiled', path))"
)
POOL = "import multiprocessing as m; m.get_context('fork').Pool(1).map(__import__, ['compiled'])"
BACKEND = """
import sys
from pathlib import Path
def get_requires_for_build_wheel(config_settings=None):
    return []
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    Path("changed").write_text("by the backend")
    import compiled
    Path(wheel_directory, "x-1.0-py3-none-any.whl").touch()
    return "x-1.0-py3-none-any.whl"
"""


@dataclass(frozen=True, slots=True)
class Venv:
    """A build with an empty virtual environment, and its root."""

    build: Build
    sandbox: Sandbox
    log: MemoryLog

    def says(self, script: str) -> str:
        """Run a shell script in the source's folder; return what it prints."""
        said = self.sandbox.work / "said"
        said.unlink(missing_ok=True)
        self.sandbox.run(Command(["sh", "-euc", f"({script}) > /build/said"], cwd=SOURCE), log=self.log)
        return said.read_text().strip()

    def reason_to_stop(self, script: str) -> str:
        """Run a script whose Python cannot start again; return the note that it leaves."""
        note = self.sandbox.work / native_python.NOTE
        note.unlink(missing_ok=True)
        with pytest.raises(CommandFailed):
            self.says(script)
        return note.read_text()


def make_build(sandbox: Sandbox, python: str, log: MemoryLog, **options: bool) -> Build:
    pin = LocalSource(project="x", version="1.0", path=Path("x"))
    recipe = Recipe(
        name="x",
        version="1.0",
        directory=Path("x"),
        source=pin,
        build=BuildOptions(**options),  # type: ignore[arg-type]
    )
    metadata = ProjectMetadata(name="x", version="1.0", build_backend="backend", backend_path=(".",), build_requires=())
    (sandbox.work / "src").mkdir(exist_ok=True)
    return Build(sandbox=sandbox, folder=sandbox.work.parent, recipe=recipe, metadata=metadata, python=python, log=log)


@contextmanager
def opened(layout: Layout, python: str, folder: Path) -> Iterator[Venv]:
    """Open a root with an environment in which a compiled module is installed."""
    root = RootfsEnvironment(root=hybrid_root(layer_store(layout), RootRequest(python=python)), layout=layout)
    log = MemoryLog()
    with root.open(folder / "work", caches="test") as sandbox:
        build = make_build(sandbox, python, log)
        pep517.make_venv(build)
        venv = Venv(build, sandbox, log)
        (sandbox.work / "src/compiled.c").write_text(EXTENSION)
        venv.says(COMPILE)
        yield venv


@pytest.fixture(scope="module", params=PYTHONS)
def venv(request: pytest.FixtureRequest, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venv]:
    with opened(layout, request.param, tmp_path_factory.mktemp("venv")) as found:
        yield found


def test_native_python_answers_as_the_riscv64_one(venv: Venv) -> None:
    facts = Path(python_facts.__file__).read_text()
    (venv.sandbox.work / "src/facts.py").write_text(facts)
    assert venv.says(f'python -c "{WHICH}"') == "native"
    venv.says(f"python3 facts.py > /build/bin.json; {RISCV64} facts.py > /build/riscv64.json")
    native, riscv64 = (json.loads((venv.sandbox.work / f"{name}.json").read_text()) for name in ("bin", "riscv64"))
    assert native == riscv64
    assert "riscv64" in native["platform.machine"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f'python -c "{WHICH}"', "native"),
        (f'python3 -W ignore -IBc "{WHICH}"', "native"),
        (f'echo "{WHICH}" > which.py; python -X dev -W ignore which.py -S', "native"),
        (f'python -c "import compiled; {WHICH}"', "riscv64"),
        (f"cd /; python -c \"import ctypes, os; os.chdir('/usr'); ctypes.CDLL('libm.so.6'); {WHICH}\"", "riscv64"),
        (f'python -S -c "{WHICH}"', "riscv64"),
        (f'python -IS -c "{WHICH}"', "riscv64"),
        (f'echo "{WHICH}" | python', "riscv64"),
        (f'echo "{WHICH}" | python -', "riscv64"),
        (f'echo "{WHICH}" | python -IuX dev', "riscv64"),
        (f'echo "{WHICH}" | python /dev/stdin', "riscv64"),
        (f'echo "{WHICH}" > values.py; python values.py - -S', "native"),
        (f'python -BX dev -S -c "{WHICH}"', "riscv64"),
        (f'python -c "import ctypes; ctypes.CDLL(None).uname; {WHICH}"', "riscv64"),
        (f'python -c "{BY_PATH}; {WHICH}"', "riscv64"),
        (f'python -c "import math, random, statistics; math.sin(1); {WHICH}"', "native"),
        (f'python -c "from math import erf; erf(1); {WHICH}"', "riscv64"),
        (f'python -c "import cmath; cmath.sqrt(1j); {WHICH}"', "riscv64"),
        (
            "cd /build; venv/bin/python -c 'import sys; print(sys.orig_argv[0], sys.prefix)'",
            "venv/bin/python /build/venv",
        ),
        ("ln -s /build/venv/bin/python p; ./p -c 'import sys; print(sys.executable, sys.prefix)'", "/build/src/p /usr"),
        ("python -Sc 'import sys; print(sys.executable)'", "/build/venv/bin/python"),
        ("env PWD=/build/src/x python -c 'import os; print(os.environ[\"PWD\"])'", "/build/src/x"),
        ("cd /; OLDPWD=/ PWD=/x python -c 'import compiled, os; print(os.environ[\"PWD\"])'", "/x"),
        ("env -u PWD python -c 'import os; print(os.getenv(\"PWD\"))'", "None"),
        ("env -i /build/venv/bin/python -c 'import os; print(os.getenv(\"PWD\"))'", "None"),
        (f'GLIBC_TUNABLES=glibc.malloc.check=0 python -c "{WHICH}"', "riscv64"),
        ("PYTHONEXECUTABLE=/usr/bin/other python -c 'import platform; print(platform.machine())'", "riscv64"),
        ("__PYVENV_LAUNCHER__=/usr/bin/other python -c 'import platform; print(platform.machine())'", "riscv64"),
        (
            "folder=a name=b value=c word=d started=e "
            "python -c 'import os; print(*map(os.getenv, \"folder name value word started\".split()))'",
            "a b c d e",
        ),
        ("echo 'print(1)' > resource.py; echo 'import resource, mmap' > own.py; python own.py; rm resource.py", "1"),
        (f'python -c "import readline, resource, _decimal, sqlite3; {WHICH}"', "native"),
        ("python -c 'import posix; print(posix.uname().machine)'", "riscv64"),
        ("python -c 'import sys; print(sys.argv, sys.executable)' a -S", "['-c', 'a', '-S'] /build/venv/bin/python"),
        (
            "python3 -c 'import compiled, sys; print(sys.argv, sys.orig_argv[:2])' a",
            "['-c', 'a'] ['/build/venv/bin/python3', '-c']",
        ),
    ],
)
def test_command_runs_on_the_python_that_can(venv: Venv, command: str, expected: str) -> None:
    assert venv.says(command) == expected


@pytest.mark.parametrize(
    "change",
    [
        "open('new', 'w')",
        "import os; os.mkdir('folder')",
        "import os; os.mkfifo('pipe')",
        "import subprocess; subprocess.run(['true'])",
        "print('already', flush=True)",
        "import threading; threading.Thread(target=int).start()",
        "import multiprocessing",
        "import os; os.write(2, b'already')",
        "import os; os.umask(0o77)",
        "import os; os.close(0)",
        "import os; os.setsid()",
    ],
)
def test_process_that_changed_something_stops(venv: Venv, change: str) -> None:
    """To start it again would do the change twice."""
    assert "module compiled" in venv.reason_to_stop(f'python -c "{change}; import compiled; print(1)"')


def test_process_that_waits_for_a_stopped_one_ends(venv: Venv) -> None:
    """A pool waits forever for the answer of a process that has ended."""
    assert "module compiled" in venv.reason_to_stop(f'timeout 60 python -c "{POOL}" || [ $? = 124 ]')


def test_stopped_process_is_not_reported_as_out_of_memory(venv: Venv) -> None:
    venv.reason_to_stop(f'python -c "{POOL}"')
    assert "# exit 143 after" in venv.log.text
    assert "memory" not in venv.log.text


def test_process_that_ignores_its_end_is_killed(venv: Venv) -> None:
    ignored = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    venv.reason_to_stop(f'python -c "{ignored}; {POOL}"')
    assert "# exit 137 after" in venv.log.text


@pytest.mark.parametrize("name", ["CFLAGS_riscv64gc-unknown-linux-gnu", "OPTIND", "\u00e9"])
@pytest.mark.parametrize(
    "start",
    [
        "import os, subprocess as s; s.run(['true'], env={**os.environ, NAME: '1'})",
        "import os, subprocess as s; os.environ[NAME] = '1'; s.run(['true'])",
        "import os; os.execvpe('true', ['true'], {**os.environ, NAME: '1'})",
    ],
)
def test_process_that_passes_on_what_a_shell_drops_stops(venv: Venv, start: str, name: str) -> None:
    """A Python that it starts would lack the variable: the launcher is a script."""
    script = start.replace("NAME", repr(name))
    assert f"variable {name!r}" in venv.reason_to_stop(f'python -c "{script}"')


def test_process_whose_folder_is_gone_stops(venv: Venv) -> None:
    wait = "import os, time\nwhile os.path.exists('/build/src/gone'): time.sleep(0.01)\n"
    script = f'mkdir gone && cd gone && python -c "{wait}import compiled" & sleep 2; rmdir gone'
    assert "module compiled" in venv.reason_to_stop(f"{script}; wait $!")


@pytest.mark.parametrize("reading", ["sys.stdin.read()", "open(0).read()", "os.read(7, 9)"])
def test_process_that_may_have_read_a_pipe_stops(venv: Venv, reading: str) -> None:
    """A second reading of the pipe would find nothing."""
    assert "pipe" in venv.reason_to_stop(
        f'echo a | python -c "import os, sys; {reading}; import compiled; print(1)" 7<&0'
    )


@pytest.mark.parametrize("library", ["module compiled", "library 'libm.so.6'"])
def test_process_that_changed_something_loads_nothing(venv: Venv, library: str) -> None:
    load = BY_PATH if "module" in library else "import ctypes; ctypes.CDLL('libm.so.6')"
    assert library in venv.reason_to_stop(f'python -c "import os; os.mkdir({library[:6]!r}); {load}"')


def test_backend_that_needs_riscv64_makes_job_start_over(layout: Layout, tmp_path: Path) -> None:
    with opened(layout, PYTHONS[0], tmp_path) as venv:
        build = venv.build
        (venv.sandbox.work / "src/backend.py").write_text(BACKEND)
        assert (native_python.machine(build), native_python.must_start_over(build.folder)) == ("x86-64", False)
        with pytest.raises(NeedsRiscv64Python, match="compiled"):
            pep517.build_wheel(build, ())
        assert native_python.must_start_over(build.folder)
        native_python.forget_native_python(build.folder)
        pep517.make_venv(build)
        venv.says(COMPILE)
        assert pep517.build_wheel(build, ()).backend_machine == native_python.RISCV64
        assert not native_python.must_start_over(build.folder)
        assert venv.says(f'python -c "{WHICH}"') == "riscv64"


def test_recipe_keeps_the_riscv64_python(hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with hybrid.open(tmp_path / "work", caches="test") as sandbox:
        build = make_build(sandbox, "3.13", log, emulated_python=True)
        pep517.make_venv(build)
        assert native_python.machine(build) == native_python.RISCV64
        assert Venv(build, sandbox, log).says(f'python -c "{WHICH}"') == "riscv64"


def test_processor_without_fma_keeps_the_riscv64_python(
    hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_python, "uses_fused_arithmetic", lambda: False)
    with hybrid.open(tmp_path / "work", caches="test") as sandbox:
        build = make_build(sandbox, "3.13", log)
        pep517.make_venv(build)
        assert native_python.machine(build) == native_python.RISCV64
    assert "no FMA" in log.text


def test_native_python_of_another_build_is_not_used(hybrid: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    """Layers are made at different times, and so of different versions."""
    with hybrid.open(tmp_path / "work", caches="test") as sandbox:
        build = make_build(sandbox, "3.13", log)
        other = r"s/\[GCC [0-9]/[GCC x/"
        sandbox.run(Command(["env", "LC_ALL=C", "sed", "-i", other, "/usr/bin/python3.13"]), log=log)
        pep517.make_venv(build)
        assert native_python.machine(build) == native_python.RISCV64
        assert Venv(build, sandbox, log).says(f'python -c "{WHICH}"') == "riscv64"
    assert "without the native Python" in log.text


def test_root_without_native_tools_has_riscv64_python(layout: Layout, tmp_path: Path, log: MemoryLog) -> None:
    root = RootfsEnvironment(root=debian_root(layer_store(layout), RootRequest()), layout=layout)
    with root.open(tmp_path / "work", caches="test") as sandbox:
        build = make_build(sandbox, "3.13", log)
        pep517.make_venv(build)
        assert native_python.machine(build) == native_python.RISCV64
