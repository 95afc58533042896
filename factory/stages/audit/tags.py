"""Checks of a wheel's tags, and of whether it is pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from factory.errors import AuditFailed
from factory.model.target import Target
from factory.stages.audit.report import Finding, LibraryReport
from factory.stages.audit.versions import Version
from factory.util.quantities import quantity

PLATFORM = re.compile(r"(?:manylinux_(\d+)_(\d+)|linux)_riscv64")
PURELIB = re.compile(r"[^/]+\.data/purelib/")


def tags_of_name(wheel: Path) -> frozenset[Tag]:
    """Return the tags of a wheel's file name.

    Raises:
        AuditFailed: it is no wheel's.
    """
    try:
        return parse_wheel_filename(wheel.name)[3]
    except InvalidWheelFilename as error:
        raise AuditFailed(
            f"{wheel.name}: not a wheel's file name: {error}", hint="give the path of a .whl file"
        ) from error


def glibc_promised(platforms: Sequence[str], target: Target) -> Version:
    """Return the lowest glibc of the platform tags; the target's if they name none."""
    matches = [match for match in map(PLATFORM.fullmatch, platforms) if match and match[1]]
    return min(((int(match[1]), int(match[2])) for match in matches), default=target.glibc_floor)


def check_tags(inside: frozenset[Tag], tags: frozenset[Tag], target: Target) -> Iterator[Finding]:
    """Compare the tags of the file name with those of the WHEEL file and with the target."""
    if inside != tags:
        message = f"the file name says {_listed(tags)}, its WHEEL file says {_listed(inside)}"
        yield Finding(kind="tag", library="", message=message)
    for platform in sorted({tag.platform for tag in tags}):
        yield from _check_platform(platform, target)


def _listed(tags: frozenset[Tag]) -> str:
    return " ".join(sorted(map(str, tags))) or "nothing"


def _check_platform(platform: str, target: Target) -> Iterator[Finding]:
    match = PLATFORM.fullmatch(platform)
    if platform == "any":
        return
    if match is None:
        yield Finding(kind="tag", library="", message=f"the platform tag {platform} is not one of riscv64 with glibc")
    elif match[1] is None:
        message = f"the platform tag {platform} names no glibc: such a wheel is for the machine that built it"
        detail = "a wheel without ELF files needs a build that makes it `any`; for others run: auditwheel repair"
        yield Finding(kind="tag", library="", message=message, detail=detail)
    elif (int(match[1]), int(match[2])) > target.glibc_floor:
        message = f"the platform tag {platform} is above the target's {target.platform_ceiling}"
        yield Finding(kind="tag", library="", message=message)


def check_purity(
    pure: bool, platforms: Sequence[str], libraries: Sequence[LibraryReport], compiled_source: str
) -> Iterator[Finding]:
    """Compare a wheel's ELF files with its tag, its WHEEL file (`pure`) and its source.

    `compiled_source` is a file of the source that a build should compile, empty if there is none.
    """
    if libraries:
        yield from _check_impure(pure, platforms, libraries)
    elif compiled_source:
        message = f"holds no ELF file, but its source has code to compile, such as {compiled_source}"
        detail = (
            "the build left its extension out: look for a missing library or compiler in the build's log;\n"
            "        or, if a pure wheel is wanted, write pure = true under [audit] in the recipe"
        )
        yield Finding(kind="purity", library="", message=message, detail=detail)
    elif "any" not in platforms:
        yield Finding(kind="purity", library="", message="tagged for riscv64, but holds no ELF file", violation=False)


def _check_impure(pure: bool, platforms: Sequence[str], libraries: Sequence[LibraryReport]) -> Iterator[Finding]:
    if "any" in platforms:
        message = (
            f"tagged for any platform, but holds {quantity(len(libraries), 'ELF file')}, such as {libraries[0].path}"
        )
        yield Finding(kind="purity", library="", message=message)
    elif pure and any(".data/" not in library.path for library in libraries):
        message = f"its WHEEL file says Root-Is-Purelib: true, but it holds {libraries[0].path}"
        yield Finding(kind="purity", library="", message=message)
    for library in libraries:
        if PURELIB.match(library.path):
            message = "an ELF file in the folder for pure Python code"
            detail = "install it with the extension modules (platlib)"
            yield Finding(kind="purity", library=library.path, message=message, detail=detail)
