"""Bills of materials of wheels built here, as CycloneDX JSON from their reports.

It lists the wheel with its licence, the source with its patches (or the distribution's packages that the wheel was
repacked from), the bundled libraries, and the tools of the build. The same report gives the same bytes: the serial
number is made of the content, the time is the build's.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from factory.model.artifacts import SourceOrigin
from factory.publish.identifiers import OURS, urn_of
from factory.publish.package_urls import purl
from factory.publish.release import SHA256, TIME, Built, Release
from factory.publish.reports import Build, Bundled, Package, Patch, WheelReport, report_path, with_reports
from factory.util.atomic_files import changed_at, write_if_changed
from factory.util.jsonio import encode

SPECIFICATION = "1.6"

# Characters of an address that are not quoted, beside those of an escape.
_URL = "/:@!$&'()*+,;=~"
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

Component = dict[str, object]


def sbom_name(filename: str) -> str:
    """Return the file name of a wheel's bill of materials, in the wheel's folder."""
    return f"{filename}.cdx.json"


def write_sboms(releases: Sequence[Release], ledger: Path, out: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write `<out>/files/<wheel>.cdx.json` of every wheel built here.

    Return new and changed ones. A file newer than its inputs is not read, unless `force`.

    Raises:
        PublishError: a report of the ledger is damaged.
    """
    program = changed_at(__file__)
    stale = [release for release in releases if force or _is_stale(release, program, ledger, out)]
    paths = ((out / "files" / name, content) for name, content in sboms(stale, ledger))
    return tuple(path for path, content in paths if _write(path, content))


def _write(path: Path, content: bytes) -> bool:
    """Write a file, or touch one with that content; return whether it is new or changed."""
    changed = write_if_changed(path, content)
    if not changed:
        os.utime(path)
    return changed


def _is_stale(release: Release, program: int, ledger: Path, out: Path) -> bool:
    """Report whether the SBOM is older than this `program`, its ledger entry or its report."""
    if not isinstance(release.origin, Built):
        return False
    written = changed_at(f"{out}/files/{sbom_name(release.filename)}")
    entry = f"{ledger}/{release.project}/{release.filename}.json"
    made_of = (entry, report_path(ledger, release.project, release.filename))
    return program >= written or any(changed_at(path) >= written for path in made_of)


def sboms(releases: Sequence[Release], ledger: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of every bill of materials in the order of the releases.

    Raises:
        PublishError: as `write_sboms`.
    """
    for release, report in with_reports(releases, ledger):
        if report is not None and report.build is not None:
            yield sbom_name(release.filename), sbom(release, report, report.build)


def sbom(release: Release, report: WheelReport, build: Build) -> bytes:
    """Return the bill of materials of one wheel."""
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
        # Appended here: the files of a version share its URL, and PackageURL is slow.
        "purl": f"{purl('pypi', release.project, release.version)}?file_name={quote(release.filename)}",
        "hashes": _hashes(release.sha256),
        "pedigree": _pedigree(release, build),
    }
    if report.summary:
        component["description"] = report.summary
    if report.license:
        component["licenses"] = [_licence(report.license)]
    # The wheel's own ones list what its build compiled in, such as crates.
    references = [{"type": "bom", "url": quote(path)} for path in (build.contents.sboms if build.contents else ())]
    if release.url is not None:
        references.append({"type": "distribution", "url": release.url})
    return component | ({"externalReferences": references} if references else {})


def _pedigree(release: Release, build: Build) -> Component:
    """Return the sources of the wheel, with their patches."""
    pedigree: Component = {"ancestors": _ancestors(release, build)}
    if build.patches:
        pedigree["patches"] = [_patch(patch) for patch in build.patches]
        pedigree["notes"] = "\n".join(f"{each.name}: Upstream-Status: {each.upstream_status}" for each in build.patches)
    return pedigree


def _ancestors(release: Release, build: Build) -> list[Component]:
    if not build.repacked_from:
        source: Component = {"type": "library", "name": release.project, "version": release.version}
        whole = source | {"description": "its source", "hashes": _hashes(build.source_sha256)}
        return [whole, *(_origin(release, each) for each in build.sources or () if each.urls)]
    packages: list[Component] = [
        {
            "type": "library",
            "name": each.name,
            "version": each.version,
            "purl": purl("deb", each.name, each.version, arch="riscv64", upstream=each.source),
            "hashes": _hashes(each.sha256),
        }
        for each in build.repacked
    ]
    return packages or [{"type": "library", "name": build.repacked_from}]


def _origin(release: Release, origin: SourceOrigin) -> Component:
    """Return a repository or an archive that the source, or a folder of it, was fetched from."""
    name = origin.folder or release.project
    kind, version = ("vcs", origin.commit) if origin.commit else ("distribution", origin.sha256)
    url = f"git+{origin.urls[0]}@{origin.commit}" if origin.commit else origin.urls[0]
    qualifiers = {"vcs_url": url} if origin.commit else {"download_url": url, "checksum": f"sha256:{origin.sha256}"}
    return {
        "type": "library",
        "name": name,
        "version": origin.tag or version,
        "description": f"the source's folder {origin.folder}" if origin.folder else "its source, where it comes from",
        "purl": purl("generic", name.rpartition("/")[2], version, **qualifiers),
        "hashes": _hashes(origin.sha256),
        "externalReferences": [{"type": kind, "url": _address(each)} for each in origin.urls],
    }


def _address(url: str) -> str:
    return quote(url, safe=_URL if _NO_ESCAPE.search(url) else f"{_URL}%")


def _patch(patch: Patch) -> Component:
    backport = patch.upstream_status.startswith("Backport")
    return {"type": "backport" if backport else "unofficial", "diff": {"url": quote(patch.name)}}


def _library(release: Release, bundled: Bundled) -> Component:
    """Return a bundled library, named after its package if that is known."""
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
    url = purl(package.kind, package.name, package.version, arch=package.architecture)
    return {"name": package.name, "version": package.version, "purl": url}


def _dependencies(wheel: Component, libraries: Sequence[Component]) -> list[Component]:
    names = [each["bom-ref"] for each in libraries]
    return [{"ref": wheel["bom-ref"], "dependsOn": names}, *({"ref": name} for name in names)]


def _tools(build: Build) -> list[Component]:
    """Return the toolchain, from Debian, and the build requirements."""
    requirements = (each.partition("==") for each in build.requirements)
    return [
        *(_tool("application", "deb", name, version) for name, version in sorted(build.toolchain.items())),
        *(_tool("library", "pypi", name, version) for name, _, version in requirements),
    ]


def _tool(kind: str, origin: str, name: str, version: str) -> Component:
    return {"type": kind, "name": name, "version": version, "purl": purl(origin, name, version)}


@lru_cache(1 << 14)
def _hashes(sha256: str) -> Sequence[Mapping[str, str]]:
    """Return the hash in a list, empty for a source that has none, as a local folder."""
    return [{"alg": "SHA-256", "content": sha256}] if SHA256.fullmatch(sha256) else []


@lru_cache
def _licence(text: str) -> Mapping[str, object]:
    """Return an SPDX expression if the text is one, else a named licence."""
    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except (InvalidLicenseExpression, ValueError):
        return {"license": {"name": text}}
