"""Bills of materials, validated with CycloneDX's own schema."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from msgspec import structs
from packageurl import PackageURL

from factory.model.artifacts import BinaryPackage, Crate, SourceOrigin
from factory.publish import sbom as publish_sbom
from factory.publish.ledger import Ledger
from factory.publish.reports import Build, Bundled, Package, Patch, write_report
from factory.publish.safe_text import sanitize
from factory.publish.sbom import sbom, sboms, write_sboms
from tests.support.ledgers import ALPHA, CONTENTS, PURE, build, make_ledger, release, report
from tests.support.markup import MARKUP

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
FORTRAN = Bundled(
    path="alpha.libs/libgfortran-2c0fd224.so.5.0.0",
    sha256="1" * 64,
    package=Package(kind="deb", name="libgfortran5", version="1:14.2.0~rc1-19+b1", architecture="riscv64"),
)
BLAS = Bundled(
    path="alpha.libs/libopenblas-0ebc6901.so",
    sha256="2" * 64,
    package=Package(kind="pypi", name="openblas-lp64", version="0.3.34"),
)
UNKNOWN = Bundled(path="alpha.libs/libown-00000000.so", sha256="3" * 64)
SPAM = BinaryPackage(name="python3-spam", source="spam", version="1.0+dfsg-2", sha256="4" * 64)


def made(**changes: object) -> Build:
    """Return a build whose wheel has libraries of three kinds."""
    plain = build()
    full = structs.replace(plain, contents=structs.replace(CONTENTS, bundled=(FORTRAN, BLAS, UNKNOWN)))
    return structs.replace(full, **changes)


def content_of(build: Build, **words: object) -> dict[str, Any]:
    """Return a bill of materials after validating it."""
    text = sbom(release(ALPHA), report(ALPHA, **words), build)
    problem = VALIDATOR.validate_str(text.decode())
    assert problem is None, problem
    content: dict[str, Any] = json.loads(text)
    return content


def test_sbom_has_wheel_source_and_patches() -> None:
    patches = (*build().patches, Patch(name="0002-fix.patch", upstream_status="Backport [1.11]"))
    wheel = content_of(made(patches=patches))["metadata"]["component"]
    assert (wheel["name"], wheel["version"], wheel["licenses"]) == ("alpha", "1.0", [{"expression": "BSD-3-Clause"}])
    assert wheel["purl"] == f"pkg:pypi/alpha@1.0?file_name={ALPHA}"
    assert wheel["hashes"][0]["content"] == release(ALPHA).sha256
    assert wheel["pedigree"]["ancestors"][0]["hashes"][0]["content"] == "5" * 64
    assert [patch["type"] for patch in wheel["pedigree"]["patches"]] == ["unofficial", "backport"]
    assert wheel["pedigree"]["notes"] == (
        "0001-load-modules.patch: Upstream-Status: Pending\n0002-fix.patch: Upstream-Status: Backport [1.11]"
    )


def test_sbom_has_bundled_libraries_by_package() -> None:
    content = content_of(made())
    assert [each["purl"] for each in content["components"] if "purl" in each] == [
        "pkg:deb/debian/libgfortran5@1:14.2.0~rc1-19%2Bb1?arch=riscv64",
        "pkg:pypi/openblas-lp64@0.3.34",
    ]
    assert content["components"][2]["name"] == "libown-00000000.so"
    assert content["dependencies"][0]["dependsOn"] == [f"{ALPHA}/{each.path}" for each in (FORTRAN, BLAS, UNKNOWN)]


def test_sbom_has_toolchain_and_requirements() -> None:
    content = content_of(made())
    tools = [(each["name"], each["version"]) for each in content["formulation"][0]["components"]]
    assert tools == [("g++-14-riscv64-linux-gnu", "14.2.0-19cross1"), ("cython", "3.3.1")]
    assert content["metadata"]["timestamp"] == "2026-01-02T02:00:00+00:00"


def test_sbom_of_repacked_wheel_has_its_packages() -> None:
    content = content_of(made(repacked_from="Debian's python3-spam 1.0+dfsg-2", repacked=(SPAM,)))
    (package,) = content["metadata"]["component"]["pedigree"]["ancestors"]
    assert package["purl"] == "pkg:deb/debian/python3-spam@1.0%2Bdfsg-2?arch=riscv64&upstream=spam"
    assert package["hashes"] == [{"alg": "SHA-256", "content": SPAM.sha256}]


GIT = SourceOrigin(kind="git", urls=("https://example.org/a b.git",), commit="1" * 40, tag="v1.0")
SUBMODULE = SourceOrigin(kind="git", urls=("https://example.org/eggs",), commit="2" * 40, folder="third_party/eggs")
ARCHIVE = SourceOrigin(kind="url", urls=("https://a.org/x.zip", "https://b.org/x.zip"), sha256="4" * 64, folder="x")


def test_sbom_names_addresses_of_sources() -> None:
    (whole, git, submodule, archive) = content_of(made(sources=(GIT, SUBMODULE, ARCHIVE)))["metadata"]["component"][
        "pedigree"
    ]["ancestors"]
    assert whole["hashes"][0]["content"] == "5" * 64
    assert (git["name"], git["version"]) == ("alpha", "v1.0")
    purl = PackageURL.from_string(git["purl"])
    assert (purl.type, purl.version) == ("generic", GIT.commit)
    assert purl.qualifiers == {"vcs_url": f"git+{GIT.urls[0]}@{GIT.commit}"}
    assert git["externalReferences"] == [{"type": "vcs", "url": "https://example.org/a%20b.git"}]
    assert (submodule["name"], submodule["version"]) == ("third_party/eggs", SUBMODULE.commit)
    assert archive["hashes"] == [{"alg": "SHA-256", "content": ARCHIVE.sha256}]
    assert [each["url"] for each in archive["externalReferences"]] == list(ARCHIVE.urls)
    assert PackageURL.from_string(archive["purl"]).qualifiers["checksum"] == f"sha256:{ARCHIVE.sha256}"


def test_package_urls_are_canonical() -> None:
    text = json.dumps([content_of(made(repacked_from="x", repacked=(SPAM,))), content_of(made())])
    found = [part.partition('"')[0] for part in text.split('"purl": "')[1:]]
    assert len(found) == 11
    assert [PackageURL.from_string(purl).to_string() for purl in found] == found


def test_sbom_refers_to_sboms_in_the_wheel() -> None:
    inside = "alpha-1.0.dist-info/sboms/alpha crates.json"
    wheel = content_of(made(contents=structs.replace(CONTENTS, sboms=(inside,))))["metadata"]["component"]
    assert wheel["externalReferences"] == [{"type": "bom", "url": "alpha-1.0.dist-info/sboms/alpha%20crates.json"}]


def test_sbom_has_crates_unless_the_wheel_lists_them() -> None:
    crates = (Crate(name="serde", version="1.0.2", sha256="7" * 64),)
    (crate,) = content_of(made(crates=crates, contents=None))["components"]
    assert (crate["purl"], crate["scope"]) == ("pkg:cargo/serde@1.0.2", "optional")
    theirs = structs.replace(CONTENTS, bundled=(), sboms=("alpha-1.0.dist-info/sboms/crates.json",))
    assert content_of(made(crates=crates, contents=theirs))["components"] == []


def test_sbom_names_licence_texts_of_libraries() -> None:
    text = "alpha.dist-info/licenses/debian/libgfortran5/copyright"
    contents = structs.replace(CONTENTS, bundled=(FORTRAN, BLAS), licenses=("alpha.dist-info/licenses/LICENSE", text))
    fortran, blas = content_of(made(contents=contents))["components"]
    assert fortran["externalReferences"] == [{"type": "license", "url": text}]
    assert "externalReferences" not in blas


def test_sbom_has_other_licences_by_name() -> None:
    wheel = content_of(made(), license="BSD, see the file")["metadata"]["component"]
    assert wheel["licenses"] == [{"license": {"name": "BSD, see the file"}}]
    assert "licenses" not in content_of(made(), license="")["metadata"]["component"]


def test_sbom_serial_number_depends_on_content() -> None:
    assert content_of(made()) == content_of(made())
    assert content_of(made())["serialNumber"] != content_of(made(mode="native"))["serialNumber"]


@pytest.mark.parametrize("text", [sanitize(text) for text in MARKUP])
def test_sbom_of_hostile_text_is_valid(text: str) -> None:
    package = Package(kind="deb", name=text, version=text, architecture=text)
    content_of(
        made(
            mode=text,
            finished=text,
            source_sha256=text,
            toolchain={text: text},
            requirements=(text,),
            patches=(Patch(name=text, upstream_status=text),),
            repacked=(replace(SPAM, name=text, source=text, version=text),),
            sources=(SourceOrigin(kind=text, urls=(text,), commit=text, tag=text, folder=text, sha256=text),),
            contents=structs.replace(CONTENTS, bundled=(structs.replace(FORTRAN, path=text, package=package),)),
        ),
        summary=text,
        license=text,
    )


def test_sboms_are_written_for_built_wheels_only(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    releases = Ledger(ledger.folder).read()
    written = write_sboms(releases, ledger.folder, tmp_path / "out")
    assert {path.name for path in written} == {name for name, _ in sboms(releases, ledger.folder)}
    assert tmp_path / f"out/files/{ALPHA}.cdx.json" in written
    assert not (tmp_path / f"out/files/{PURE}.cdx.json").exists()
    assert write_sboms(releases, ledger.folder, tmp_path / "out") == ()
    write_report(ledger.folder, "alpha", report(ALPHA, build=build(mode="native")))
    assert write_sboms(releases, ledger.folder, tmp_path / "out") == (tmp_path / f"out/files/{ALPHA}.cdx.json",)


def test_sbom_newer_than_its_inputs_is_not_written(tmp_path: Path) -> None:
    ledger, out = make_ledger(tmp_path), tmp_path / "out"
    releases = Ledger(ledger.folder).read()
    (path, _other) = write_sboms(releases, ledger.folder, out)
    path.write_text("{}")
    assert write_sboms(releases, ledger.folder, out) == ()
    os.utime(ledger.folder / "alpha" / f"{ALPHA}.json")
    assert write_sboms(releases, ledger.folder, out) == (path,)
    path.unlink()
    assert write_sboms(releases, ledger.folder, out) == (path,)


def test_sbom_is_compared_once_after_program_change(tmp_path: Path) -> None:
    ledger, out = make_ledger(tmp_path), tmp_path / "out"
    releases = Ledger(ledger.folder).read()
    paths = write_sboms(releases, ledger.folder, out)
    for path in paths:
        os.utime(path, (1, 1))
    assert write_sboms(releases, ledger.folder, out) == ()
    assert all(path.stat().st_mtime > Path(publish_sbom.__file__).stat().st_mtime for path in paths)
