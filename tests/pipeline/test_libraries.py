"""A library without Python packaging, made a wheel by an overlay, and a package that builds against it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from factory.store.store import Store
from tests.support.checkouts import ONE_PROFILE, Checkout, add_recipe

pytestmark = pytest.mark.environment

PYPROJECT = """
[build-system]
requires = ["scikit-build-core>=0.11"]
build-backend = "scikit_build_core.build"
[project]
name = "answers"
version = "1.0"
[project.entry-points.pkg_config]
answers = "answers.lib.pkgconfig"
[tool.scikit-build]
wheel.py-api = "py3"
wheel.install-dir = "answers"
"""
CMAKE = """
cmake_minimum_required(VERSION 3.26)
project(answers LANGUAGES C)
add_library(answers SHARED answers.c)
target_link_libraries(answers PRIVATE gomp)
install(TARGETS answers LIBRARY DESTINATION lib)
install(FILES answers.h DESTINATION include)
install(FILES answers.pc DESTINATION lib/pkgconfig)
"""
PC = """
prefix=${pcfiledir}/../..
Name: answers
Description: answers
Version: 1.0
Libs: -L${prefix}/lib -lanswers
Cflags: -I${prefix}/include
"""
HEADER = "const char *answer(void);\n"
PATCH = f"""\
Subject: Spoil the header
Description: It no longer fits the code.
Upstream-Status: Inappropriate
---
--- a/answers.h
+++ b/answers.h
@@ -1 +1 @@
-{HEADER.strip()}
+const char *answer(int);
"""
RESULT = """
import json, os
result = {"shown": f"answer {answer}", "facts": {"answer": answer}, "tokens": [], "logits": []}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(result))
"""
LOADS = """
import ctypes, pathlib, sysconfig
place = pathlib.Path(sysconfig.get_path("purelib"), "answers/lib/libanswers.so")
library = ctypes.CDLL(str(place))
library.answer.restype = ctypes.c_char_p
answer = int(library.answer())
"""
ASKS = """
import importlib.metadata, asks
# What the check requires is ours too: it came from our index, with its library.
(library,) = [file for file in importlib.metadata.files("answers") if file.name == "libanswers.so"]
assert library.locate().is_file()
answer = asks.ask()
"""
# Compiled against the installed wheel, with the source's own header.
SUITE = """
import pathlib, subprocess
code = '#include <stdlib.h>\\n#include "/build/src/answers.h"\\nint main(void) { return atoi(answer()); }'
pathlib.Path("test.c").write_text(code)
place = next(pathlib.Path("/build/venv/lib").glob("python3*/site-packages/answers/lib"))
subprocess.run(["gcc", "test.c", f"-L{place}", f"-Wl,-rpath,{place}", "-lanswers", "-o", "test"], check=True)
answer = subprocess.run(["./test"]).returncode
"""
COMPILED = '[suite]\nscript = "suite.py"\nbuild-root = true\nprofiles = ["rv64gc"]\n'
# In the clean root, beside our wheel that the suite requires.
READS = 'import pathlib\nassert pathlib.Path("/build/src/pyproject.toml").is_file()\n'
IN_CLEAN_ROOT = '[suite]\nscript = "suite.py"\nneeds-source = true\nrequires = ["answers"]\nprofiles = ["rv64gc"]\n'
EXPECT = "[check.expect.answer]\nrv64gc = 42\n"


def test_a_package_builds_against_a_library_of_another_recipe(tmp_path: Path, fresh_cache: Path) -> None:
    checkout = Checkout(root=tmp_path, cache=fresh_cache)
    add_recipe(
        tmp_path, "answers", source='overlay = ["package"]', more=ONE_PROFILE + EXPECT + COMPILED, smoke=LOADS + RESULT
    )
    (tmp_path / "recipes/answers/suite.py").write_text(SUITE + RESULT)
    package = tmp_path / "recipes/answers/package"
    package.mkdir()
    own = {"pyproject.toml": PYPROJECT, "CMakeLists.txt": CMAKE, "answers.pc": PC, "answers.h": HEADER}
    for name, text in own.items():
        (package / name).write_text(text)
    # Patches are made for the source as it came: the overlay lies over what they change.
    patches = tmp_path / "patches/answers/1.0"
    patches.mkdir(parents=True)
    (patches / "0001-spoil-the-header.patch").write_text(PATCH)
    # Both need a library of the root, which the first one's own wheel bundles.
    linked = '[build.environment]\nLDFLAGS = "-Wl,--no-as-needed -lgomp"\n'
    requires = f'[build]\nrequires = ["answers"]\n{linked}{ONE_PROFILE}requires = ["answers"]\n{EXPECT}{IN_CLEAN_ROOT}'
    add_recipe(tmp_path, "asks", more=requires, smoke=ASKS + RESULT)
    (tmp_path / "recipes/asks/suite.py").write_text(READS + ASKS + RESULT)
    built = checkout.factory("build", "asks")
    assert built.returncode == 0, built.stderr
    assert "answers 1.0: rv64gc: answer 42" in built.stderr
    assert "asks 1.0: rv64gc: answer 42" in built.stderr
    (wheel,) = fresh_cache.glob("store/wheels/*/asks-*.whl")
    members = zipfile.ZipFile(wheel).namelist()
    bundled = sorted(name.partition("-")[0] for name in members if name.startswith("asks.libs/lib"))
    assert bundled == ["asks.libs/libanswers", "asks.libs/libgomp"]
    record = Store(fresh_cache / "store").latest("asks", "3.13")
    assert record is not None
    assert record.audit is not None
    origins = {path.partition("-")[0]: origin.name for path, origin in record.library_origins.items()}
    assert origins == {"asks.libs/libanswers": "answers", "asks.libs/libgomp": "libgomp1"}
    suite = checkout.factory("check", "answers", "--suite")
    assert suite.returncode == 0, suite.stderr
    assert "answers 1.0: rv64gc: answer 42" in suite.stderr
    suite = checkout.factory("check", "asks", "--suite")
    assert suite.returncode == 0, suite.stderr
    assert "asks 1.0: rv64gc: answer 42" in suite.stderr
