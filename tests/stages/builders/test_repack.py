"""Tests of repacking a distribution's packages into the tree of a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import BuildFailed
from factory.model.recipe import BuildOptions, Recipe, RepackOptions
from factory.stages.builders.repack import (
    PYTHON_FILES,
    links_lead_to,
    merge,
    packages_of,
    take_licences,
    take_licences_of_wheels,
    take_python_files,
    write_wheel_file,
)
from factory.stages.sources.deb import DebSource
from tests.support.logs import MemoryLog

PYTHON = "usr/lib/python3/dist-packages"
DIST_INFO = "spam-1.0+debian.dist-info"


@pytest.fixture
def recipe() -> Recipe:
    pin = DebSource(project="spam", package="python3-spam", version="1.0-2", sha256="0" * 64)
    build = BuildOptions(builder="repack")
    return Recipe(name="spam", version="1.0+debian", directory=Path("spam"), source=pin, build=build)


def add(root: Path, files: dict[str, str], links: dict[str, str] | None = None) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, target in (links or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    return root


def test_the_parts_of_a_source_are_packages_of_their_own(tmp_path: Path, recipe: Recipe) -> None:
    source = add(tmp_path, {f"{PYTHON}/spam.py": "", "packages/libspam1/usr/lib/libspam.so.1": ""})
    found = {"python3-spam": source, "libspam1": source / "packages/libspam1"}
    assert packages_of(source, recipe) == found
    assert sorted(merge(found, tmp_path / "files").values()) == ["libspam1", "python3-spam"]


def test_two_packages_with_the_same_file_are_refused(tmp_path: Path) -> None:
    packages = {name: add(tmp_path / name, {"usr/lib/libspam.so.1": name}) for name in ("libspam1", "libspam1-fast")}
    with pytest.raises(BuildFailed) as caught:
        merge(packages, tmp_path / "files")
    assert caught.value.message.startswith("usr/lib/libspam.so.1: the packages libspam1 and libspam1-fast")


def test_links_become_files_and_broken_links_are_dropped(tmp_path: Path, log: MemoryLog) -> None:
    files = add(
        tmp_path / "files",
        {"usr/include/spam/spam.h": "header", "usr/lib/libspam.so.1": "library", f"{PYTHON}/spam/bin/test_it": ""},
        {
            f"{PYTHON}/spam/include/spam": "../../../../../include/spam",
            f"{PYTHON}/spam/lib/libspam.so": "../../../../libspam.so.1",
            f"{PYTHON}/spam/test": "../../../libspam-test",
        },
    )
    add(files, {"usr/share/cmake/spam.cmake": "cmake"})
    options = RepackOptions(excluded=("spam/bin/test*",), placed={"usr/share/cmake": "spam/share/cmake"})
    tree = tmp_path / "tree"
    take_python_files(files, tree, options, log)
    found = {path.relative_to(tree).as_posix(): path.read_text() for path in tree.rglob("*") if path.is_file()}
    assert found == {
        "spam/include/spam/spam.h": "header",
        "spam/lib/libspam.so": "library",
        "spam/share/cmake/spam.cmake": "cmake",
    }
    assert not any(path.is_symlink() for path in tree.rglob("*"))
    assert log.text == "without the link spam/test\nwithout spam/bin/test_it\n"


def test_a_folder_that_no_package_has_can_not_be_placed(tmp_path: Path, log: MemoryLog) -> None:
    files = add(tmp_path / "files", {f"{PYTHON}/spam.py": ""})
    with pytest.raises(BuildFailed, match=r"build\.repack\.placed: .* usr/share/eggs"):
        take_python_files(files, tmp_path / "tree", RepackOptions(placed={"usr/share/eggs": "eggs"}), log)


def test_packages_without_python_files_are_refused(tmp_path: Path, log: MemoryLog) -> None:
    with pytest.raises(BuildFailed, match=f"{PYTHON}: "):
        take_python_files(add(tmp_path, {"usr/lib/x": ""}), tmp_path / "tree", RepackOptions(), log)


def metadata(tree: Path, version: str = "1.0+debian") -> Path:
    text = f"Metadata-Version: 2.4\nName: Spam\nVersion: {version}\n\nAbout spam.\n"
    return add(tree, {f"{DIST_INFO}/METADATA": text, f"{DIST_INFO}/INSTALLER": "debian"}) / DIST_INFO


def test_the_licence_of_every_package_comes_along(tmp_path: Path, recipe: Recipe) -> None:
    folder = metadata(tmp_path / "tree")
    copyrights = {f"usr/share/doc/{name}/copyright": name for name in ("python3-spam", "libspam1", "libeggs2")}
    take_licences(add(tmp_path / "files", copyrights), tmp_path / "tree", {"libspam1"}, recipe)
    assert sorted(path.read_text() for path in folder.rglob("copyright")) == ["libspam1", "python3-spam"]
    assert (folder / "METADATA").read_text().splitlines()[3:] == [
        "License-File: debian/libspam1/copyright",
        "License-File: debian/python3-spam/copyright",
        "",
        "About spam.",
    ]


def test_the_licences_of_wheels_with_libraries_come_along(tmp_path: Path) -> None:
    folder = metadata(tmp_path / "tree")
    inside = "lib/python3.14/site-packages/fast_blas-1.0.dist-info/licenses/netlib/LICENSE"
    take_licences_of_wheels(add(tmp_path / "venv", {inside: "free\n"}), tmp_path / "tree")
    assert (folder / "licenses/fast_blas/netlib/LICENSE").read_text() == "free\n"
    assert "License-File: fast_blas/netlib/LICENSE\n" in (folder / "METADATA").read_text()


def test_packages_whose_libraries_come_by_links_are_known(tmp_path: Path) -> None:
    links = {
        f"{PYTHON_FILES}/spam/lib/libspam.so": "../../../../riscv64-linux-gnu/libspam.so.1",
        "usr/lib/riscv64-linux-gnu/libspam.so.1": "libspam.so.1.2",
        f"{PYTHON_FILES}/spam/include": "../../../../include/spam",
    }
    files = {"usr/lib/riscv64-linux-gnu/libspam.so.1.2": "", "usr/include/spam/spam.h": "", "usr/lib/libother.so": ""}
    add(tmp_path, files, links)
    assert links_lead_to(tmp_path) == {
        tmp_path / "usr/include/spam",
        tmp_path / "usr/lib/riscv64-linux-gnu/libspam.so.1.2",
    }


def test_a_package_without_a_licence_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    metadata(tmp_path / "tree")
    with pytest.raises(BuildFailed) as caught:
        take_licences(tmp_path / "files", tmp_path / "tree", set(), recipe)
    assert caught.value.message.startswith("usr/share/doc/python3-spam/copyright: the package python3-spam")


def test_installed_metadata_becomes_wheel_metadata(tmp_path: Path, recipe: Recipe) -> None:
    folder = metadata(tmp_path)
    write_wheel_file(tmp_path, recipe, "3.14")
    assert sorted(path.name for path in folder.iterdir()) == ["METADATA", "WHEEL"]
    assert "\nTag: cp314-cp314-linux_riscv64\n" in (folder / "WHEEL").read_text()


def test_package_of_other_version_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    metadata(tmp_path, version="1.1+debian")
    with pytest.raises(BuildFailed) as caught:
        write_wheel_file(tmp_path, recipe, "3.14")
    assert caught.value.message.startswith("spam 1.0+debian: the package python3-spam")
    assert caught.value.message.endswith("Spam 1.1+debian")
