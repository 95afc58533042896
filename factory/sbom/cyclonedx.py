"""CycloneDX JSON of a wheel's materials: the same materials give the same bytes.

It lists the source with its patches (or the distribution's packages that the wheel was repacked from), the bundled
libraries and the crates. The file in a wheel and the one beside it are both made here; the latter also has what the
wheel cannot hold: its own hash and address, and the build. The serial number is made of the content.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from factory.model.artifacts import AppliedPatch, BinaryPackage, Crate, LibraryOrigin, SourceOrigin
from factory.model.materials import BILL, BundledLibrary, Materials
from factory.sbom.package_urls import purl
from factory.util.identifiers import OURS, urn_of
from factory.util.jsonio import encode

SPECIFICATION = "1.6"

_SHA256 = re.compile(r"(?a)[0-9a-f]{64}")
# Characters of an address that are not quoted, beside those of an escape.
_URL = "/:@!$&'()*+,;=~"
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

Component = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Facts about a wheel that are not in it: hash, address, own statements, and the build.

    `tools` are the toolchain's packages and `requirements` the build requirements (`name==version`).
    """

    sha256: str
    url: str | None = None
    summary: str = ""
    license: str = ""
    timestamp: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    toolchain: Mapping[str, str] = field(default_factory=dict)
    requirements: Sequence[str] = ()


def bill_of_materials(materials: Materials, publication: Publication | None = None) -> bytes:
    """Return the bill of materials for a wheel to hold, or to publish beside it."""
    wheel = _wheel(materials) | (_published(materials, publication) if publication else {})
    parts = [*(_library(materials, each) for each in materials.bundled), *_crates(materials)]
    content: Component = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": _metadata(wheel, publication),
        "components": parts,
        "dependencies": _dependencies(wheel, parts),
    }
    if publication is not None:
        content["formulation"] = [{"components": _tools(publication)}]
    digest = hashlib.sha256(encode(content)).hexdigest()
    content["serialNumber"] = urn_of(f"sbom/{digest}")
    return encode(content) + b"\n"


def _metadata(wheel: Component, publication: Publication | None) -> Component:
    metadata: Component = {
        "component": wheel,
        "lifecycles": [{"phase": "build"}],
        "tools": {"components": [{"type": "application", "name": OURS}]},
    }
    if publication is not None:
        stated = publication.properties.items()
        metadata["properties"] = [{"name": f"{OURS}:{name}", "value": value} for name, value in stated]
        metadata |= {"timestamp": publication.timestamp} if publication.timestamp else {}
    return metadata


def _wheel(materials: Materials) -> Component:
    component: Component = {
        "type": "library",
        "bom-ref": materials.filename,
        "name": materials.project,
        "version": materials.version,
        # Appended here: the files of a version share its URL, and PackageURL is slow.
        "purl": f"{purl('pypi', materials.project, materials.version)}?file_name={quote(materials.filename)}",
        "pedigree": _pedigree(materials),
    }
    return component | ({"externalReferences": _bills_inside(materials)} if materials.sboms else {})


def _bills_inside(materials: Materials) -> list[Component]:
    """Return references to the wheel's bills of what its build compiled in."""
    return [{"type": "bom", "url": quote(path)} for path in materials.sboms]


def _published(materials: Materials, publication: Publication) -> Component:
    component: Component = {"hashes": _hashes(publication.sha256)}
    if publication.summary:
        component["description"] = publication.summary
    if publication.license:
        component["licenses"] = [_license(publication.license)]
    if publication.url is not None:
        address: Component = {"type": "distribution", "url": publication.url}
        component["externalReferences"] = [*_bills_inside(materials), address]
    return component


def _pedigree(materials: Materials) -> Component:
    """Return the sources of the wheel, with their patches."""
    pedigree: Component = {"ancestors": _ancestors(materials)}
    if patches := materials.patches:
        pedigree["patches"] = [_patch(patch) for patch in patches]
        pedigree["notes"] = "\n".join(f"{each.name}: Upstream-Status: {each.upstream_status}" for each in patches)
    return pedigree


def _ancestors(materials: Materials) -> list[Component]:
    if not materials.repacked_from:
        source: Component = {"type": "library", "name": materials.project, "version": materials.version}
        whole = source | {"description": "its source", "hashes": _hashes(materials.source_sha256)}
        return [whole, *(_origin(materials, each) for each in materials.sources)]
    packages = [_binary_package(each) for each in materials.repacked]
    return packages or [{"type": "library", "name": materials.repacked_from}]


def _binary_package(package: BinaryPackage) -> Component:
    return {
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": purl("deb", package.name, package.version, arch="riscv64", upstream=package.source),
        "hashes": _hashes(package.sha256),
    }


def _origin(materials: Materials, origin: SourceOrigin) -> Component:
    """Return a repository or an archive that the source, or a folder of it, was fetched from."""
    component: Component = {
        "type": "library",
        "name": origin.folder or materials.project,
        "version": origin.tag or origin.commit or origin.sha256,
        "description": f"the source's folder {origin.folder}" if origin.folder else "its source, where it comes from",
        "hashes": _hashes(origin.sha256),
    }
    return component | (_addresses(materials, origin) if origin.urls else {})


def _addresses(materials: Materials, origin: SourceOrigin) -> Component:
    name = (origin.folder or materials.project).rpartition("/")[2]
    kind, version = ("vcs", origin.commit) if origin.commit else ("distribution", origin.sha256)
    url = f"git+{origin.urls[0]}@{origin.commit}" if origin.commit else origin.urls[0]
    qualifiers = {"vcs_url": url} if origin.commit else {"download_url": url, "checksum": f"sha256:{origin.sha256}"}
    return {
        "purl": purl("generic", name, version, **qualifiers),
        "externalReferences": [{"type": kind, "url": _address(each)} for each in origin.urls],
    }


def _address(url: str) -> str:
    return quote(url, safe=_URL if _NO_ESCAPE.search(url) else f"{_URL}%")


def _patch(patch: AppliedPatch) -> Component:
    backport = patch.upstream_status.startswith("Backport")
    return {"type": "backport" if backport else "unofficial", "diff": {"url": quote(patch.name)}}


def _library(materials: Materials, bundled: BundledLibrary) -> Component:
    """Return a bundled library, named after its package if that is known."""
    component: Component = {
        "type": "library",
        "bom-ref": f"{materials.filename}/{bundled.path}",
        "name": PurePosixPath(bundled.path).name,
        "hashes": _hashes(bundled.sha256),
        "evidence": {"occurrences": [{"location": bundled.path}]},
    }
    return component if bundled.origin is None else component | _package(bundled.origin, materials.licenses)


def _package(origin: LibraryOrigin, licenses: Sequence[str]) -> Component:
    url = purl(origin.kind, origin.name, origin.version, arch=origin.architecture)
    texts = [path for path in licenses if license_folder(origin) in path]
    references = [{"type": "license", "url": quote(path)} for path in texts]
    named: Component = {"name": origin.name, "version": origin.version, "purl": url}
    return named | ({"externalReferences": references} if references else {})


def license_folder(origin: LibraryOrigin) -> str:
    """Return the folder in `.dist-info` with the licences of a bundled library's package."""
    return f"/licenses/{'debian' if origin.kind == 'deb' else 'bundled'}/{origin.name}/"


def _crates(materials: Materials) -> list[Component]:
    """Return the crates of Cargo.lock files, unless another bill lists what was compiled."""
    if any(not path.endswith(BILL) for path in materials.sboms):
        return []
    return [
        {
            "type": "library",
            "bom-ref": f"{materials.filename}/{purl('cargo', each.name, each.version)}",
            "name": each.name,
            "version": each.version,
            "purl": purl("cargo", each.name, each.version),
            # Some are for other platforms and for tests.
            "scope": "optional",
            "hashes": _hashes(each.sha256),
        }
        for each in sorted(materials.crates, key=_crate_order)
    ]


def _crate_order(crate: Crate) -> tuple[str, str]:
    return crate.name, crate.version


def _dependencies(wheel: Component, parts: Sequence[Component]) -> list[Component]:
    names = [each["bom-ref"] for each in parts]
    return [{"ref": wheel["bom-ref"], "dependsOn": names}, *({"ref": name} for name in names)]


def _tools(publication: Publication) -> list[Component]:
    """Return the toolchain, from Debian, and the build requirements."""
    requirements = (each.partition("==") for each in publication.requirements)
    return [
        *(_tool("application", "deb", name, version) for name, version in sorted(publication.toolchain.items())),
        *(_tool("library", "pypi", name, version) for name, _, version in requirements),
    ]


def _tool(kind: str, origin: str, name: str, version: str) -> Component:
    return {"type": kind, "name": name, "version": version, "purl": purl(origin, name, version)}


@lru_cache(1 << 14)
def _hashes(sha256: str) -> Sequence[Mapping[str, str]]:
    """Return the hash in a list, empty for a source that has none, as a local folder."""
    return [{"alg": "SHA-256", "content": sha256}] if _SHA256.fullmatch(sha256) else []


@lru_cache
def _license(text: str) -> Mapping[str, object]:
    """Return an SPDX expression if the text is one, else a named licence."""
    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except (InvalidLicenseExpression, ValueError):
        return {"license": {"name": text}}
