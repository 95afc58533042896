"""The bill of materials inside wheels, with licences of bundled libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from factory.errors import RepairFailed
from factory.model.artifacts import AppliedPatch, BuiltWheel, Crate, LibraryOrigin, RepairedWheel, SourceTree
from factory.model.materials import BILL
from factory.model.target import Target
from factory.stages.audit.auditor import audit_wheel
from factory.stages.repair.bill import Inputs, complete
from factory.stages.repair.dist_info import read_dist_info
from factory.stages.repair.licenses import find_licenses
from factory.util.atomic_files import sha256_of
from tests.support.elf_images import Image, wheel
from tests.support.logs import MemoryLog
from tests.support.recipes import recipe_named

LIBFFI = "vectors_c.libs/libffi-01234567.so.8.1.4"
FFI = LibraryOrigin(kind="deb", name="libffi8", version="3.4.8-2", architecture="riscv64")
FORTRAN = LibraryOrigin(
    kind="deb", name="libgfortran5-riscv64-cross", version="14.2.0-19cross1", architecture="riscv64"
)
BLAS = LibraryOrigin(kind="pypi", name="open-blas", version="0.3")
FILES = {
    LIBFFI: Image(soname="libffi-01234567.so.8.1.4").build(),
    "vectors_c.so": Image(needed=("libffi-01234567.so.8.1.4",)).build(),
}
FROM_MAT = "vectors_c-1.0.dist-info/sboms/crates.cyclonedx.json"


@pytest.fixture
def trees(tmp_path: Path) -> list[Path]:
    """Make a base with licences, and a layer whose folders link to it."""
    base, apt = tmp_path / "base", tmp_path / "apt"
    write(
        base / "usr/share/doc/gcc-14-base/copyright",
        "/usr/share/common-licenses/GPL, or /usr/share/common-licenses/GPL-3.",
    )
    write(base / "usr/share/common-licenses/GPL-3", "GNU GENERAL PUBLIC LICENSE 3")
    (base / "usr/share/common-licenses/GPL").symlink_to("GPL-3")
    write(apt / "usr/share/doc/libffi8/copyright", "Permission is hereby granted")
    (apt / "usr/share/doc/libgcc-s1").symlink_to("gcc-14-base")
    return [base, apt]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def made(folder: Path, trees: list[Path], files: dict[str, bytes] = FILES, crates: tuple[Crate, ...] = ()) -> Path:
    """Make a wheel with a bundled library, and complete it."""
    folder.mkdir(exist_ok=True)
    path = wheel(folder, files)
    origins = {LIBFFI: FFI} if LIBFFI in files else {}
    before = RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=(), library_origins=origins)
    inputs = Inputs(
        recipe=recipe_named("vectors-c"),
        source=SourceTree(path=folder, sha256="5" * 64),
        patches=(AppliedPatch(name="0001-fix.patch", sha256="6" * 64, upstream_status="Pending"),),
        built=BuiltWheel(path=path, requirements=(), crates=crates),
    )
    after = complete(before, inputs, dict.fromkeys(trees, ()), {}, MemoryLog())
    assert after.sha256 == sha256_of(path)
    return path


def bill_in(path: Path) -> dict[str, Any]:
    """Return the bill of materials in a wheel after validating it."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read(f"vectors_c-1.0.dist-info/{BILL}").decode()
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, problem
    content: dict[str, Any] = json.loads(text)
    return content


def problems(path: Path) -> list[str]:
    report = audit_wheel(path, recipe_named("vectors-c").audit, Target())
    return [str(each) for each in report.findings if each.kind in ("bill", "record")]


def test_bill_in_wheel_has_bundled_library_and_its_licence(tmp_path: Path, trees: list[Path]) -> None:
    path = made(tmp_path / "out", trees)
    (library,) = bill_in(path)["components"]
    assert (library["name"], library["version"]) == ("libffi8", "3.4.8-2")
    assert library["purl"] == "pkg:deb/debian/libffi8@3.4.8-2?arch=riscv64"
    text = "vectors_c-1.0.dist-info/licenses/debian/libffi8/copyright"
    assert library["externalReferences"] == [{"type": "license", "url": text}]
    with zipfile.ZipFile(path) as archive:
        assert archive.read(text) == b"Permission is hereby granted"
    assert problems(path) == []


def test_bill_in_wheel_has_the_same_bytes_twice(tmp_path: Path, trees: list[Path]) -> None:
    """It has neither a time nor a random number, and the wheel keeps its order."""
    first, second = (made(tmp_path / name, trees) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert "timestamp" not in bill_in(first)["metadata"]


def test_bill_states_patches_and_no_address(tmp_path: Path, trees: list[Path]) -> None:
    pedigree = bill_in(made(tmp_path / "out", trees))["metadata"]["component"]["pedigree"]
    assert [each["diff"]["url"] for each in pedigree["patches"]] == ["0001-fix.patch"]
    assert pedigree["ancestors"][0]["hashes"][0]["content"] == "5" * 64


def test_bill_lists_crates_unless_another_does(tmp_path: Path, trees: list[Path]) -> None:
    crates = (Crate(name="serde", version="1.0.2", sha256="7" * 64), Crate(name="memchr", version="2.7.6"))
    plain = bill_in(made(tmp_path / "plain", trees, {}, crates))
    assert [each["purl"] for each in plain["components"]] == ["pkg:cargo/memchr@2.7.6", "pkg:cargo/serde@1.0.2"]
    theirs = made(tmp_path / "theirs", trees, {FROM_MAT: b"{}"}, crates)
    bill = bill_in(theirs)
    assert bill["components"] == []
    assert bill["metadata"]["component"]["externalReferences"] == [{"type": "bom", "url": FROM_MAT}]
    with zipfile.ZipFile(theirs) as archive:
        assert archive.read(FROM_MAT) == b"{}"


def test_source_with_a_bill_of_this_name_fails(tmp_path: Path, trees: list[Path]) -> None:
    with pytest.raises(RepairFailed, match=r"riscv64-wheel-factory\.cdx\.json"):
        made(tmp_path / "out", trees, {f"vectors_c-1.0.dist-info/{BILL}": b"{}"})


def rewritten(path: Path, change: dict[str, object]) -> Path:
    """Return a copy of a wheel whose bill lists other components."""
    copy = path.with_name("copy") / path.name
    copy.parent.mkdir()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename.endswith(BILL):
                content = json.dumps({**json.loads(content), **change}).encode()
            new.writestr(member, content)
    return copy


@pytest.mark.parametrize(
    ("components", "problem"),
    [
        ([], f"lacks the bundled library {LIBFFI}"),
        ("none", "cannot be read"),
        ([{"evidence": {}, "purl": "pkg:generic/x"}], "cannot be read"),
        (
            [{"evidence": {"occurrences": [{"location": LIBFFI}]}, "hashes": [{"content": "0" * 64}]}],
            f"another hash of {LIBFFI}",
        ),
    ],
)
def test_bill_that_is_not_of_the_wheel_fails(
    components: object, problem: str, tmp_path: Path, trees: list[Path]
) -> None:
    copy = rewritten(made(tmp_path / "out", trees), {"components": components})
    assert any(problem in each for each in problems(copy)), problems(copy)


def test_bill_with_absent_library_fails(tmp_path: Path, trees: list[Path]) -> None:
    path = made(tmp_path / "out", trees)
    listed = bill_in(path)["components"]
    listed.append({**listed[0], "evidence": {"occurrences": [{"location": "vectors_c.libs/gone.so"}]}})
    assert any("lists vectors_c.libs/gone.so" in each for each in problems(rewritten(path, {"components": listed})))


def test_wheel_without_bill_has_a_note(tmp_path: Path) -> None:
    report = audit_wheel(wheel(tmp_path, FILES), recipe_named("vectors-c").audit, Target())
    assert [note.kind for note in report.notes if note.kind == "bill"] == ["bill"]
    assert not [finding for finding in report.violations if finding.kind == "bill"]


def test_licences_follow_links_and_common_ones(trees: list[Path]) -> None:
    """A cross compiler's library has the licence of its compiler."""
    library = LibraryOrigin(kind="deb", name="libgcc-s1", version="14", architecture="riscv64")
    found = find_licenses([library, FORTRAN], trees, [], {})
    assert list(found) == [
        "licenses/debian/common-licenses/GPL",
        "licenses/debian/common-licenses/GPL-3",
        "licenses/debian/libgcc-s1/copyright",
        "licenses/debian/libgfortran5-riscv64-cross/copyright",
    ]
    assert found["licenses/debian/common-licenses/GPL"] == b"GNU GENERAL PUBLIC LICENSE 3"


def test_licences_in_the_wheel_are_not_added_again(trees: list[Path]) -> None:
    present = {"licenses/debian/libffi8/copyright": b"its own, see /usr/share/common-licenses/GPL-3"}
    assert list(find_licenses([FFI], trees, [], present)) == ["licenses/debian/common-licenses/GPL-3"]


def installed(site: Path, *licenses: str) -> Path:
    lines = "".join(f"open_blas-0.3.dist-info/{name},,\n" for name in licenses)
    write(site / "open_blas-0.3.dist-info/RECORD", f"blas/lib.so,,\n{lines}")
    return site


def test_licences_of_wheels_are_those_in_their_record(tmp_path: Path) -> None:
    site = installed(tmp_path / "site-packages", "licenses/parts/LICENSE.txt", "COPYING", "METADATA")
    write(site / "open_blas-0.3.dist-info/licenses/parts/LICENSE.txt", "BSD")
    write(site / "open_blas-0.3.dist-info/COPYING", "more")
    assert find_licenses([BLAS], [], [site], {}) == {
        "licenses/bundled/open-blas/COPYING": b"more",
        "licenses/bundled/open-blas/parts/LICENSE.txt": b"BSD",
    }


def test_licence_that_a_build_turned_into_a_link_is_absent(tmp_path: Path) -> None:
    site = installed(tmp_path / "site-packages", "licenses/LICENSE", "licenses/../../../x")
    (site / "open_blas-0.3.dist-info/licenses").mkdir()
    (site / "open_blas-0.3.dist-info/licenses/LICENSE").symlink_to("/etc/passwd")
    assert find_licenses([BLAS], [], [site], {}) == {}


@pytest.mark.parametrize("name", ["../../etc", "a/b", ".."])
def test_package_with_the_name_of_a_path_has_no_licence(name: str, trees: list[Path]) -> None:
    for kind in ("deb", "pypi"):
        assert find_licenses([LibraryOrigin(kind=kind, name=name, version="1")], trees, trees, {}) == {}


@pytest.mark.parametrize(("version", "named"), [("2.4", True), ("2.3", False)])
def test_metadata_names_licences_if_its_version_can(
    version: str, named: bool, tmp_path: Path, trees: list[Path]
) -> None:
    metadata = f"Metadata-Version: {version}\nName: vectors-c\nVersion: 1.0\n\nText\n\nMore"
    path = made(tmp_path / "out", trees, FILES)
    with zipfile.ZipFile(path) as archive:
        before = archive.read("vectors_c-1.0.dist-info/METADATA")
    assert b"License-File" not in before  # version 2.1
    shutil.rmtree(path.parent)
    path = made(tmp_path / "out", trees, {**FILES, "vectors_c-1.0.dist-info/METADATA": metadata.encode()})
    text = read_dist_info(RepairedWheel(path=path, sha256="", platform_tags=()), "METADAT")["METADATA"].decode()
    assert ("\nLicense-File: debian/libffi8/copyright\n\nText\n\nMore" in text) == named
    assert problems(path) == []


def test_pip_installs_bill_and_licences(tmp_path: Path, trees: list[Path]) -> None:
    path = made(tmp_path / "out", trees)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
    platform = ["--platform=manylinux_2_39_riscv64", "--python-version=3.13", "--only-binary=:all:"]
    subprocess.run([*pip, *platform, str(path)], check=True, capture_output=True, env=os.environ)
    info = tmp_path / "site/vectors_c-1.0.dist-info"
    assert (info / BILL).is_file()
    assert (info / "licenses/debian/libffi8/copyright").is_file()
