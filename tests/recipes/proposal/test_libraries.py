"""Native libraries that build files ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.recipes.proposal.libraries import asked_libraries


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
