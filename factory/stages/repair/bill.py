"""The bill of materials inside a wheel (PEP 770), with the licences of bundled libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import parse_wheel_filename

from factory.model.artifacts import AppliedPatch, BuiltWheel, RepairedWheel, SourceTree
from factory.model.materials import BILL, BundledLibrary, Materials
from factory.model.recipe import Recipe
from factory.sbom.cyclonedx import bill_of_materials, license_folder
from factory.stages.repair.dist_info import LICENSES, add_files, folder_of, read_dist_info
from factory.stages.repair.licenses import find_licenses
from factory.stages.repair.provenance import Roots, bundled_hashes
from factory.util.log import LogSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Inputs of a wheel's build that its bill of materials states."""

    recipe: Recipe
    source: SourceTree
    patches: Sequence[AppliedPatch]
    built: BuiltWheel


def complete(
    wheel: RepairedWheel, inputs: Inputs, roots: Roots, extra: Mapping[str, bytes], log: LogSink
) -> RepairedWheel:
    """Add the bill of materials, licences of bundled libraries and `extra` files to a wheel.

    Raises:
        RepairFailed: the wheel has no RECORD, or one of these files.
    """
    origins, present = wheel.library_origins, read_dist_info(wheel, LICENSES)
    packages = _site_packages(inputs.built.library_folders)
    licenses = find_licenses(origins.values(), list(roots), packages, present)
    for path, library in sorted(origins.items()):
        if not any(name.startswith(license_folder(library)[1:]) for name in (*licenses, *present)):
            log.write(f"{path}: the package {library.name} has no licence file\n")
    materials = materials_of(wheel, inputs, (*present, *licenses))
    return add_files(wheel, {**extra, **licenses, BILL: bill_of_materials(materials)})


def materials_of(wheel: RepairedWheel, inputs: Inputs, licenses: Sequence[str]) -> Materials:
    """Return the materials of a wheel, without addresses, which do not decide its content.

    `licenses` are paths in .dist-info.
    """
    project, version, _, _ = parse_wheel_filename(wheel.path.name)
    folder = folder_of(wheel)
    recipe, origins = inputs.recipe, wheel.library_origins
    return Materials(
        filename=wheel.path.name,
        project=project,
        version=str(version),
        source_sha256=inputs.source.sha256,
        patches=inputs.patches,
        sources=[replace(each, urls=()) for each in inputs.source.origins if each.urls],
        repacked_from=recipe.repacked_from,
        repacked=recipe.repacked,
        bundled=[
            BundledLibrary(path=path, sha256=sha256, origin=origins.get(path))
            for path, sha256 in bundled_hashes(wheel.path).items()
        ],
        crates=inputs.built.crates,
        sboms=[f"{folder}/{path}" for path in sorted(read_dist_info(wheel, "sboms/"))],
        licenses=[f"{folder}/{path}" for path in sorted(licenses)],
    )


def _site_packages(folders: Sequence[Path]) -> list[Path]:
    found = (parent for folder in folders for parent in folder.parents if parent.name == "site-packages")
    return list(dict.fromkeys(found))
