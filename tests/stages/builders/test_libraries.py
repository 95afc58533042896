"""Tests of search paths for libraries that come as wheels."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from factory.stages.builders.library_paths import library_folders, library_variables

INSIDE = PurePosixPath("/build/venv")


def install(venv: Path, name: str, entry_points: str) -> None:
    folder = venv / f"lib/python3.13/site-packages/{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(entry_points)


def test_entry_points_become_search_paths_inside_the_root(tmp_path: Path) -> None:
    install(tmp_path, "spam", "[pkg_config]\nspam = spam.lib.pkgconfig\n[cmake.prefix]\nspam = spam\n")
    install(tmp_path, "eggs", "[pkg_config]\neggs = eggs.pc\n[console_scripts]\neggs = eggs:main\n")
    packages = "/build/venv/lib/python3.13/site-packages"
    assert library_variables(tmp_path, INSIDE) == {
        "PKG_CONFIG_PATH": f"{packages}/eggs/pc:{packages}/spam/lib/pkgconfig",
        "CMAKE_PREFIX_PATH": f"{packages}/spam",
    }


def test_without_such_packages_builds_get_no_variables(tmp_path: Path) -> None:
    assert library_variables(tmp_path, INSIDE) == {}
    install(tmp_path, "spam", "[console_scripts]\nspam = spam:main\n")
    assert library_variables(tmp_path, INSIDE) == {}


def test_the_folders_of_their_shared_libraries_are_known(tmp_path: Path) -> None:
    install(tmp_path, "spam", "[pkg_config]\nspam = spam.lib.pkgconfig\n[cmake.prefix]\nspam = spam\n")
    library = tmp_path / "lib/python3.13/site-packages/spam/lib"
    assert library_folders(tmp_path) == ()
    (library / "pkgconfig").mkdir(parents=True)
    assert library_folders(tmp_path) == (library,)
