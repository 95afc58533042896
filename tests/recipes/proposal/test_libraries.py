"""Native libraries that build files ask for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from factory.recipes.proposal.examples import find_examples
from factory.recipes.proposal.libraries import asked_libraries
from factory.recipes.proposal.modules import compiled_names, extension_modules, top_level_modules


def asked(root: Path, file: str, text: str) -> list[tuple[str, str, bool]]:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [(each.kind, each.name, each.optional) for each in asked_libraries(root)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("find_package(ZLIB REQUIRED)", [("cmake", "ZLIB", False)]),
        ("find_package(ZLIB 1.2)", [("cmake", "ZLIB", True)]),
        ("if(WITH_ZLIB)\n  find_package(ZLIB REQUIRED)\nendif()", [("cmake", "ZLIB", True)]),
        ("if(A)\nendif()\nfind_package(ZLIB\n  REQUIRED)", [("cmake", "ZLIB", False)]),
        ("# find_package(ZLIB REQUIRED)", []),
        ("find_package(Python 3.9 COMPONENTS Interpreter REQUIRED)", []),
        ("pkg_check_modules(FFI REQUIRED IMPORTED_TARGET libffi>=3.4)", [("pkg-config", "libffi", False)]),
        ("find_library(PATH_TO NAMES geos_c REQUIRED)", [("library", "geos_c", False)]),
    ],
)
def test_cmake_asks_for_packages(tmp_path: Path, text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert asked(tmp_path, "CMakeLists.txt", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blas = dependency('openblas')", [("pkg-config", "openblas", False)]),
        ("blas = dependency('openblas', required : false)", [("pkg-config", "openblas", True)]),
        ("if get_option('x')\n  d = dependency('x11')\nendif", [("pkg-config", "x11", True)]),
        ("m = cc.find_library('qhull')", [("library", "qhull", False)]),
        ("py = dependency('python3')", []),
    ],
)
def test_meson_asks_for_dependencies(tmp_path: Path, text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert asked(tmp_path, "src/meson.build", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Extension('a', ['a.c'], libraries=['yaml'])", [("library", "yaml", False)]),
        ("libraries = []\nlibraries.append('z')", [("library", "z", False)]),
        ("if system_zstd:\n    libraries = ['zstd']", [("library", "zstd", True)]),
        (
            "if sys.platform == 'win32':\n    libs = ['ws2_32']\nelse:\n    libs = ['ev']",
            [("library", "ws2_32", False), ("library", "ev", False)],
        ),
        ("pkgconfig.parse('libxml-2.0')", [("pkg-config", "libxml-2.0", False)]),
        ("if pkgconfig.exists('liblz4'):\n    pass", [("pkg-config", "liblz4", True)]),
        ("run(['pg_config', '--libdir'])", [("program", "pg_config", False)]),
        ("libraries = [name", []),
    ],
)
def test_setup_py_asks_for_libraries(tmp_path: Path, text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert asked(tmp_path, "setup.py", text) == expected


def test_build_files_of_other_projects_are_left_out(tmp_path: Path) -> None:
    assert asked(tmp_path, "third_party/zlib/CMakeLists.txt", "find_package(ZLIB REQUIRED)") == []


def test_required_library_wins_over_optional_one(tmp_path: Path) -> None:
    text = "find_package(ZLIB)\nfind_package(ZLIB REQUIRED)"
    assert asked(tmp_path, "CMakeLists.txt", text) == [("cmake", "ZLIB", False)]


def test_build_files_too_deep_or_odd_give_nothing(tmp_path: Path) -> None:
    (tmp_path / "names.py").mkdir()
    (tmp_path / "setup.py").write_text(f"Extension{'.b' * 900}('spam')\n")
    (tmp_path / "README.md").write_text(f">>> import spam\n>>> spam.add({'+'.join('1' * 960)})\n960\n")
    assert asked_libraries(tmp_path) == ()
    assert extension_modules(tmp_path) == ()
    assert find_examples(tmp_path, ["spam"]) == ()
    (tmp_path / "my-spam").mkdir()
    (tmp_path / "my-spam/__init__.py").touch()
    assert top_level_modules(tmp_path, "spam") == ("spam",)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.cpp", "class_<" * 4000),
        ("a.c", "PyModule_AddX(" * 3000),
        ("a.pyx", "\n" * 20000),
        ("CMakeLists.txt", "find_package(" * 4000),
        ("meson.build", "\n" * 20000),
    ],
)
def test_odd_files_are_searched_fast(tmp_path: Path, file: str, text: str) -> None:
    """Without bounds these take from seconds to hours."""
    (tmp_path / file).write_text(text)
    started = time.process_time()
    assert (asked_libraries(tmp_path), compiled_names(tmp_path)) == ((), frozenset())
    assert time.process_time() - started < 5
