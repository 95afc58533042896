"""Small real packages with one fault each: the error names it, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.errors import AuditFailed, BuildFailed, CheckFailed
from factory.store.store import Store
from factory.util.paths import Layout
from tests.support.checkouts import Checkout

EXTENSION = """#include <Python.h>
#include <unistd.h>
static PyObject *f(PyObject *self, PyObject *none) { return PyLong_FromLong(BODY); }
static PyMethodDef methods[] = {{"f", f, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "demo", "", 0, methods};
PyMODINIT_FUNC PyInit_demo(void) { return PyModule_Create(&module); }
"""
SETUP = "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('demo', ['m.c'], OPTIONS)])\n"
PYPROJECT = """[build-system]
requires = ["REQUIRES"]
build-backend = "BACKEND"
[project]
name = "demo"
version = "1.0"
license = "MIT"
"""
RECIPE = '[package]\nname = "demo"\nversion = "1.0"\n[source]\nkind = "local"\npath = "."\n'
SMOKE = """import json, os, demo
print("calls it", flush=True)
assert demo.f() == 42
with open(os.environ["FACTORY_RESULT"], "w") as file:
    json.dump({"shown": "42", "facts": {}, "tokens": [], "logits": []}, file)
"""
CMAKE = """cmake_minimum_required(VERSION 3.20)
project(demo C)
include(FetchContent)
FetchContent_Declare(fmt GIT_REPOSITORY https://host.invalid/fmt.git GIT_TAG 11.0.0)
FetchContent_MakeAvailable(fmt)
"""
CONFIGURE = """import os, subprocess
with open("configure", "w") as file:
    file.write("#!/bin/sh\\necho 'configure: error: unsupported architecture '$(uname -m) >&2; exit 1\\n")
os.chmod("configure", 0o755)
subprocess.check_call(["./configure"])
"""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A package's unusual files, the exit status, and words of the error."""

    status: int
    words: tuple[str, ...]
    before: str = ""
    options: str = ""
    body: str = "42"
    cmake: str = ""
    recipe: str = ""

    def write(self, folder: Path) -> None:
        backend = "scikit_build_core.build" if self.cmake else "setuptools.build_meta"
        requires = "scikit-build-core" if self.cmake else "setuptools>=77"
        files = {
            "recipe.toml": RECIPE + self.recipe,
            "smoke.py": SMOKE,
            "pyproject.toml": PYPROJECT.replace("REQUIRES", requires).replace("BACKEND", backend),
            "m.c": EXTENSION.replace("BODY", self.body),
            **({"CMakeLists.txt": self.cmake} if self.cmake else {"setup.py": self.before + self._setup}),
        }
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)

    @property
    def _setup(self) -> str:
        return SETUP.replace("OPTIONS", self.options)


CHECK = '[check]\nprofiles = ["rv64gc"]\n'
DESCRIBES = 'import subprocess; subprocess.check_output(["git", "describe", "--tags"])\n'
CARGO = 'import subprocess; subprocess.check_call(["cargo", "--version"])\n'
BUILD, RUN = BuildFailed.exit_code, CheckFailed.exit_code
FAULTS = {
    "fetches": Fault(status=BUILD, cmake=CMAKE, words=("the network is off", "FETCHCONTENT_SOURCE_DIR_FMT")),
    "finds nothing": Fault(status=BUILD, options="libraries=['yajl']", words=('"libyajl-dev" to [build] apt',)),
    "wants git": Fault(status=BUILD, before=DESCRIBES, words=('add "git" to [build] apt',)),
    "hides Rust": Fault(status=BUILD, before=CARGO, words=("set rust = true in [build]",)),
    "march-native": Fault(
        status=BUILD, options="extra_compile_args=['-march=native']", words=("-march=native is for another CPU",)
    ),
    "SSE flags": Fault(status=BUILD, options="extra_compile_args=['-msse2']", words=("-msse2 is for another CPU",)),
    "configures": Fault(
        status=BUILD, before=CONFIGURE, words=("configure: error: unsupported architecture riscv64", "know riscv64")
    ),
    "replaces nothing": Fault(
        status=BUILD,
        recipe='[build.replaced-requires]\n"frob>=1" = "why"\n',
        words=("build.replaced-requires: frob>=1: ", "hint: remove it"),
    ),
    "leaves out": Fault(
        status=AuditFailed.exit_code,
        options="optional=True, extra_compile_args=['-msse2']",
        words=("holds no ELF file", "build.log", "-msse2 is for another CPU"),
    ),
    "crashes": Fault(
        status=RUN, body="*(volatile int *)0", recipe=CHECK, words=("SIGSEGV", "in <module>, ", "smoke.py:3")
    ),
    "hangs": Fault(
        status=RUN,
        body="(sleep(100000), 42)",
        recipe=f'{CHECK}time-limit = "30s"\n',
        words=("the check hangs: not finished after 30 s; it printed last: calls it",),
    ),
}


@pytest.mark.environment
@pytest.mark.parametrize("name", FAULTS)
def test_fault_of_package_is_named_with_its_fix(tmp_path: Path, fresh_cache: Path, name: str) -> None:
    fault = FAULTS[name]
    fault.write(tmp_path / "recipes/demo")
    result = Checkout(root=tmp_path, cache=fresh_cache).factory("build", "demo")
    assert result.returncode == fault.status, result.stderr
    assert [word for word in fault.words if word not in result.stderr] == [], result.stderr
    assert "Traceback" not in result.stderr or fault.before


@pytest.mark.environment
def test_replaced_build_requirement_is_installed(tmp_path: Path, fresh_cache: Path) -> None:
    Fault(status=0, words=()).write(tmp_path / "recipes/demo")
    project = tmp_path / "recipes/demo/pyproject.toml"
    project.write_text(project.read_text().replace("setuptools>=77", "setuptools==0.0.1"))
    checkout = Checkout(root=tmp_path, cache=fresh_cache)
    failed = checkout.factory("build", "demo")
    assert failed.returncode == BUILD, failed.stderr
    assert "[build.replaced-requires]" in failed.stderr
    with (tmp_path / "recipes/demo/recipe.toml").open("a") as file:
        file.write(f'{CHECK}[build.replaced-requires]\n"setuptools>=77" = "0.0.1 was never published"\n')
    built = checkout.factory("build", "demo")
    assert built.returncode == 0, built.stderr
    (record,) = Store(Layout(fresh_cache).store).records()
    assert record.replaced_requires == {"setuptools>=77": "0.0.1 was never published"}


@pytest.mark.environment
def test_wheel_whose_check_failed_is_checked_again(tmp_path: Path, fresh_cache: Path) -> None:
    """The hint's commands work without a successful build, also with a mended script."""
    fault, checkout = FAULTS["crashes"], Checkout(root=tmp_path, cache=fresh_cache)
    fault.write(tmp_path / "recipes/demo")
    assert checkout.factory("build", "demo").returncode == RUN
    again = checkout.factory("check", "demo", "--profile", "k1")
    assert again.returncode == RUN, again.stderr
    assert "k1: " in again.stderr
    assert "SIGSEGV" in again.stderr
    smoke = tmp_path / "recipes/demo/smoke.py"
    smoke.write_text(smoke.read_text().replace("assert demo.f() == 42", "assert demo.f"))
    corrected = checkout.factory("check", "demo")
    assert corrected.returncode == 0, corrected.stderr
    script = 'grep -c "assert demo.f$" /inputs/smoke.py && python -c "import demo" && echo $FACTORY_PROFILE'
    shell = checkout.factory("shell", "demo", "--check", "--profile", "k1", "--", "sh", "-c", script)
    assert shell.stdout.splitlines() == ["1", "k1"], shell.stderr
