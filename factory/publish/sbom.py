"""A bill of materials for each wheel that we built, in CycloneDX's JSON: made of its release and report alone.

It names the wheel with its licence, the source with its patches (or the distribution's packages that the wheel was
repacked from), the libraries that the repair put into it, and what built it. The same report gives the same bytes:
serial number and time are those of the content and of the build.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from factory.publish.identifiers import OURS, urn_of
from factory.publish.ledger import SHA256, TIME, Built, Release
from factory.publish.reports import Build, Bundled, Package, Patch, WheelReport, report_path, with_reports
from factory.util.atomic_files import changed_at, write_if_changed
from factory.util.jsonio import encode

SPECIFICATION = "1.6"

Component = dict[str, object]


def sbom_name(filename: str) -> str:
    """The name of a wheel's bill of materials, which lies beside the wheel."""
    return f"{filename}.cdx.json"


def write_sboms(releases: Sequence[Release], ledger: Path, out: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write `<out>/files/<wheel>.cdx.json` for every wheel that we built; returns those that were new or differed.

    What is newer than all that it is made of is left alone without reading it, but not `force`.

    Raises:
        PublishError: a report of the ledger is damaged.
    """
    program = changed_at(__file__)
    stale = [release for release in releases if force or _is_stale(release, program, ledger, out)]
    paths = ((out / "files" / name, content) for name, content in sboms(stale, ledger))
    return tuple(path for path, content in paths if _write(path, content))


def _write(path: Path, content: bytes) -> bool:
    """Whether it was new or differed; one that is right is as new as one that was written."""
    changed = write_if_changed(path, content)
    if not changed:
        os.utime(path)
    return changed


def _is_stale(release: Release, program: int, ledger: Path, out: Path) -> bool:
    """Whether it was written before this `program`, or before its entry in the ledger or its report."""
    if not isinstance(release.origin, Built):
        return False
    written = changed_at(f"{out}/files/{sbom_name(release.filename)}")
    entry = f"{ledger}/{release.project}/{release.filename}.json"
    made_of = (entry, report_path(ledger, release.project, release.filename))
    return program >= written or any(changed_at(path) >= written for path in made_of)


def sboms(releases: Sequence[Release], ledger: Path) -> Iterator[tuple[str, bytes]]:
    """The name and content of every bill of materials that the ledger gives.

    Raises:
        PublishError: as `write_sboms`.
    """
    for release, report in with_reports(releases, ledger):
        if report is not None and report.build is not None:
            yield sbom_name(release.filename), sbom(release, report, report.build)


def sbom(release: Release, report: WheelReport, build: Build) -> bytes:
    """The bill of materials of one wheel."""
    wheel = _wheel(release, report, build)
    libraries = [_library(release, each) for each in (build.contents.bundled or () if build.contents else ())]
    content: Component = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": _metadata(wheel, build),
        "components": libraries,
        "dependencies": _dependencies(wheel, libraries),
        "formulation": [{"components": _tools(build)}],
    }
    digest = hashlib.sha256(encode(content)).hexdigest()
    content["serialNumber"] = urn_of(f"sbom/{digest}")
    return encode(content) + b"\n"


def _metadata(wheel: Component, build: Build) -> Component:
    stated = {"baseline": build.baseline, "build-record": build.record, "mode": build.mode}
    metadata: Component = {
        "component": wheel,
        "lifecycles": [{"phase": "build"}],
        "properties": [{"name": f"{OURS}:{name}", "value": value} for name, value in stated.items()],
        "tools": {"components": [{"type": "application", "name": OURS}]},
    }
    return metadata | ({"timestamp": build.finished} if _is_time(build.finished) else {})


def _is_time(text: str) -> bool:
    return TIME.fullmatch(text.replace("+00:00", "Z")) is not None


def _wheel(release: Release, report: WheelReport, build: Build) -> Component:
    component: Component = {
        "type": "library",
        "bom-ref": release.filename,
        "name": release.project,
        "version": release.version,
        "purl": f"{_purl('pypi', release.project, release.version)}?file_name={quote(release.filename)}",
        "hashes": _hashes(release.sha256),
        "pedigree": _pedigree(release, build),
    }
    if report.summary:
        component["description"] = report.summary
    if report.license:
        component["licenses"] = [_licence(report.license)]
    # Those in the wheel tell what its own build compiled in, such as crates.
    references = [{"type": "bom", "url": quote(path)} for path in (build.contents.sboms if build.contents else ())]
    if release.url is not None:
        references.append({"type": "distribution", "url": release.url})
    return component | ({"externalReferences": references} if references else {})


def _pedigree(release: Release, build: Build) -> Component:
    """What the wheel was made of, and what was changed in it."""
    pedigree: Component = {"ancestors": _ancestors(release, build)}
    if build.patches:
        pedigree["patches"] = [_patch(patch) for patch in build.patches]
        pedigree["notes"] = "\n".join(f"{each.name}: Upstream-Status: {each.upstream_status}" for each in build.patches)
    return pedigree


def _ancestors(release: Release, build: Build) -> list[Component]:
    if not build.repacked_from:
        source: Component = {"type": "library", "name": release.project, "version": release.version}
        return [source | {"description": "its source", "hashes": _hashes(build.source_sha256)}]
    packages: list[Component] = [
        {
            "type": "library",
            "name": each.name,
            "version": each.version,
            "purl": f"{_purl('deb/debian', each.name, each.version)}?arch=riscv64&upstream={quote(each.source)}",
            "hashes": _hashes(each.sha256),
        }
        for each in build.repacked
    ]
    return packages or [{"type": "library", "name": build.repacked_from}]


def _patch(patch: Patch) -> Component:
    backport = patch.upstream_status.startswith("Backport")
    return {"type": "backport" if backport else "unofficial", "diff": {"url": quote(patch.name)}}


def _library(release: Release, bundled: Bundled) -> Component:
    """A library in the wheel: it has the name of its package, where that is known."""
    name = PurePosixPath(bundled.path).name
    component: Component = {
        "type": "library",
        "bom-ref": f"{release.filename}/{bundled.path}",
        "name": name,
        "hashes": _hashes(bundled.sha256),
        "evidence": {"occurrences": [{"location": bundled.path}]},
    }
    return component if bundled.package is None else component | _named(bundled.package)


def _named(package: Package) -> Component:
    place = "deb/debian" if package.kind == "deb" else package.kind
    ending = f"?arch={quote(package.architecture)}" if package.architecture else ""
    purl = f"{_purl(place, package.name, package.version)}{ending}"
    return {"name": package.name, "version": package.version, "purl": purl}


def _dependencies(wheel: Component, libraries: Sequence[Component]) -> list[Component]:
    names = [each["bom-ref"] for each in libraries]
    return [{"ref": wheel["bom-ref"], "dependsOn": names}, *({"ref": name} for name in names)]


def _tools(build: Build) -> list[Component]:
    """The compilers and their kin, which are Debian's, and what the build required."""
    requirements = (each.partition("==") for each in build.requirements)
    return [
        *(_tool("application", "deb/debian", name, version) for name, version in sorted(build.toolchain.items())),
        *(_tool("library", "pypi", name, version) for name, _, version in requirements),
    ]


def _tool(kind: str, place: str, name: str, version: str) -> Component:
    return {"type": kind, "name": name, "version": version, "purl": _purl(place, name, version)}


@lru_cache(1 << 14)
def _purl(place: str, name: str, version: str) -> str:
    """A package URL; `place` is its type, with the namespace if it has one."""
    return f"pkg:{place}/{quote(name, safe='')}@{quote(version, safe=':')}"


def _hashes(sha256: str) -> Sequence[Mapping[str, str]]:
    """None where there is no hash, as for the source of a folder on this machine."""
    return [{"alg": "SHA-256", "content": sha256}] if SHA256.fullmatch(sha256) else []


@lru_cache
def _licence(text: str) -> Mapping[str, object]:
    """An SPDX expression, where it is one; what wheels call their licence otherwise."""
    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except (InvalidLicenseExpression, ValueError):
        return {"license": {"name": text}}
