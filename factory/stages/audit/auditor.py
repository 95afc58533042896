"""Audit of a wheel's ELF files: instructions, ABI, glibc symbols, run paths.

A library may contain code beyond the baseline only if the recipe declares it as dispatched: entered after run-time
detection. A declaration that matches nothing is a violation too, since it could hide a later mistake.

A build path in NEEDED, SONAME or a run path breaks the library on other machines: a violation. In other strings
(assertions, debug information) it is a note. Static archives are not read, since nothing loads them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from factory.elf.reader import PF_X, CodeRange, ElfFacts, MalformedElf, read_elf
from factory.elf.symbols import SymbolMap
from factory.errors import AuditFailed
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit.isa import EXAMPLES, extensions_beyond_baseline, find_excess
from factory.stages.audit.report import (
    AuditReport,
    ExtensionUse,
    Finding,
    LibraryReport,
    Location,
    render_text,
    require_clean,
)
from factory.stages.audit.wheel_reader import WheelFile, open_wheel

__all__ = ["AuditReport", "Finding", "LibraryReport", "audit_wheel", "render_text", "require_clean"]

# e_flags: the RISC-V ELF psABI specification, "File Header"
EF_FLOAT_ABI, EF_FLOAT_ABI_DOUBLE, EF_RVE, EF_TSO = 0x6, 0x4, 0x8, 0x10
FLOAT_ABIS = {0x0: "soft", 0x2: "single", 0x4: "double", 0x6: "quad"}
DT_RELR_GLIBC = (2, 36)  # the glibc that defines the version name GLIBC_ABI_DT_RELR
BUILD_PATH = re.compile(rb"/(?:build|tmp|root|home)/[\x21-\x7e]{4,}")
PLATFORM = re.compile(r"(?:manylinux_(\d+)_(\d+)|linux)_riscv64")

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a wheel's libraries: glibc of the tag or the target, and dispatched globs."""

    glibc: Version
    dispatched: tuple[str, ...]


def audit_wheel(wheel: Path, options: AuditOptions, target: Target) -> AuditReport:
    """Audit a wheel against its own tag, the recipe's declarations and the target.

    Raises:
        AuditFailed: `wheel` is not a readable wheel. The report has the findings of a readable one.
    """
    tags = _tags_of_name(wheel)
    platforms = sorted({tag.platform for tag in tags})
    limits = Limits(glibc=_glibc_promised(platforms, target), dispatched=options.dispatched)
    libraries: list[LibraryReport] = []
    findings: list[Finding] = []
    with open_wheel(wheel) as archive:
        findings += [*_check_tags(archive, tags), *_check_platforms(platforms, target)]
        sboms = archive.sboms()
        for path, data in archive.elf_files():
            report, of_library = _audit_library(path, data, limits)
            libraries += report
            findings += of_library
            findings += [*_check_build_paths(path, data)]
    findings += [*_check_purity(platforms, libraries), *_check_duplicates(libraries), *_check_globs(options, libraries)]
    return AuditReport(
        wheel=wheel.name,
        declared=options.dispatched,
        libraries=tuple(libraries),
        findings=tuple(findings),
        sboms=sboms,
    )


def _tags_of_name(wheel: Path) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(wheel.name)[3]
    except InvalidWheelFilename as error:
        raise AuditFailed(
            f"{wheel.name}: not a wheel's file name: {error}", hint="give the path of a .whl file"
        ) from error


def _glibc_promised(platforms: Sequence[str], target: Target) -> Version:
    """Return the lowest glibc of the platform tags; the target's if they name none."""
    matches = [match for match in map(PLATFORM.fullmatch, platforms) if match and match[1]]
    return min(((int(match[1]), int(match[2])) for match in matches), default=target.glibc_floor)


def _check_tags(archive: WheelFile, tags: frozenset[Tag]) -> Iterator[Finding]:
    inside = archive.tags()
    if inside != tags:
        message = f"the file name says {_listed(tags)}, its WHEEL file says {_listed(inside)}"
        yield Finding(kind="tag", library="", message=message)


def _listed(tags: frozenset[Tag]) -> str:
    return " ".join(sorted(map(str, tags))) or "nothing"


def _check_platforms(platforms: Sequence[str], target: Target) -> Iterator[Finding]:
    for platform in platforms:
        match = PLATFORM.fullmatch(platform)
        if platform == "any":
            continue
        if match is None:
            yield Finding(
                kind="tag", library="", message=f"the platform tag {platform} is not one of riscv64 with glibc"
            )
        elif match[1] is None:
            message = f"{platform} names no glibc version; compared with the target's {_dotted(target.glibc_floor)}"
            yield Finding(kind="tag", library="", message=message, violation=False)
        elif (int(match[1]), int(match[2])) > target.glibc_floor:
            message = f"the platform tag {platform} is above the target's {target.platform_ceiling}"
            yield Finding(kind="tag", library="", message=message)


def _check_purity(platforms: Sequence[str], libraries: Sequence[LibraryReport]) -> Iterator[Finding]:
    if "any" in platforms and libraries:
        message = f"tagged for any platform, but holds {len(libraries)} ELF file(s), such as {libraries[0].path}"
        yield Finding(kind="purity", library="", message=message)
    if "any" not in platforms and not libraries:
        yield Finding(kind="purity", library="", message="tagged for riscv64, but holds no ELF file", violation=False)


def _check_duplicates(libraries: Sequence[LibraryReport]) -> Iterator[Finding]:
    paths: dict[str, list[str]] = {}
    for library in libraries:
        paths.setdefault(library.sha256, []).append(library.path)
    for same in paths.values():
        if len(same) > 1:
            message = f"the same bytes as {', '.join(same[1:])}"
            detail = "links are stored as copies in a wheel: install one file, under its SONAME"
            yield Finding(kind="duplicate", library=same[0], message=message, detail=detail)


def _check_globs(options: AuditOptions, libraries: Sequence[LibraryReport]) -> Iterator[Finding]:
    for glob in options.dispatched:
        if not any(_fits(library.path, glob) for library in libraries):
            message = "declared as run-time dispatched, but matches no library of the wheel"
            detail = f'remove "{glob}" from [audit] dispatched in the recipe, or correct it'
            yield Finding(kind="dispatched", library=glob, message=message, detail=detail)


def _fits(path: str, glob: str) -> bool:
    """Match a path with a glob, folder by folder: `*` never crosses a slash."""
    folders, globs = path.split("/"), glob.split("/")
    return len(folders) == len(globs) and all(map(fnmatchcase, folders, globs))


def _audit_library(path: str, data: bytes, limits: Limits) -> tuple[list[LibraryReport], list[Finding]]:
    """Return the report on one ELF file, or only a finding if it is malformed."""
    try:
        facts = read_elf(data)
    except MalformedElf as error:
        return [], [Finding(kind="elf", library=path, message=f"not a readable ELF file ({error})")]
    report = _report(path, data, facts, limits)
    findings = [
        *_check_machine(path, facts),
        *_check_instructions(report),
        *_check_loading(path, facts),
        *_check_glibc(path, facts, limits.glibc),
    ]
    return [report], findings


def _report(path: str, data: bytes, facts: ElfFacts, limits: Limits) -> LibraryReport:
    on_riscv = facts.machine == "EM_RISCV"
    return LibraryReport(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        arch=facts.arch,
        declares=extensions_beyond_baseline(facts.arch) if facts.arch else (),
        uses=tuple(_extension_uses(data, facts.code)) if on_riscv else (),
        dispatched=any(_fits(path, glob) for glob in limits.dispatched),
        glibc=_highest(facts.versions, "GLIBC"),
        glibcxx=_highest(facts.versions, "GLIBCXX"),
        soname=facts.soname,
        needed=facts.needed,
        run_path=facts.run_path,
    )


def _extension_uses(data: bytes, code: Sequence[CodeRange]) -> Iterator[ExtensionUse]:
    """Sum up the instructions of all code ranges beyond the baseline.

    Read symbols only if there are any.
    """
    excess = [(part, found) for part in code for found in find_excess(part.data)]
    symbols = SymbolMap(data) if excess else None
    counts: Counter[str] = Counter()
    examples: dict[str, list[Location]] = {}
    for part, found in excess:
        counts[found.extension] += found.count
        for example in found.examples:
            address = part.address + example.offset
            location = Location(
                section=part.name,
                address=address,
                encoding=f"0x{example.encoding:0{2 * example.size}x}",
                symbol=symbols.describe(address) if symbols else None,
            )
            examples.setdefault(found.extension, []).append(location)
    for extension, count in counts.most_common():
        yield ExtensionUse(extension=extension, count=count, examples=tuple(examples[extension][:EXAMPLES]))


def _check_machine(path: str, facts: ElfFacts) -> Iterator[Finding]:
    if facts.machine != "EM_RISCV" or facts.bits != 64:
        machine = f"{facts.bits}-bit {facts.machine.removeprefix('EM_')}"
        yield Finding(kind="machine", library=path, message=f"built for {machine}, not for 64-bit RISC-V")
        return
    abi = facts.flags & EF_FLOAT_ABI
    if abi != EF_FLOAT_ABI_DOUBLE:
        yield Finding(kind="abi", library=path, message=f"{FLOAT_ABIS[abi]}-float ABI, not lp64d (-mabi=lp64d)")
    if facts.flags & EF_RVE:
        yield Finding(kind="abi", library=path, message="built for RVE, with 16 registers only")
    if facts.flags & EF_TSO:
        yield Finding(kind="abi", library=path, message="relies on the memory order of Ztso")
    if facts.arch is None:
        message = "has no architecture attribute: judged by its instructions alone"
        yield Finding(kind="attributes", library=path, message=message, violation=False)


def _check_instructions(report: LibraryReport) -> Iterator[Finding]:
    if report.dispatched and not report.beyond_baseline:
        message = "declared as run-time dispatched, but within the baseline"
        yield Finding(kind="dispatched", library=report.path, message=message, violation=False)
    if report.dispatched:
        return
    if report.uses:
        message = f"contains instructions beyond rv64gc: {'; '.join(map(str, report.uses))}"
        yield Finding(kind="isa", library=report.path, message=message)
    elif report.declares:
        message = f"built for more than rv64gc: its attributes declare {' '.join(report.declares)}"
        yield Finding(kind="isa", library=report.path, message=message)


def _check_loading(path: str, facts: ElfFacts) -> Iterator[Finding]:
    """Check what concerns the dynamic loader: paths, text relocations, the stack."""
    for entry in facts.run_path:
        if not re.match(r"\$ORIGIN(/|$)|\$\{ORIGIN\}(/|$)", entry):
            message = f"the run path {entry!r} is not relative to $ORIGIN"
            yield Finding(kind="run-path", library=path, message=message)
    for name in filter(None, (facts.soname, *facts.needed)):
        if "/" in name:
            yield Finding(kind="build-path", library=path, message=f"{name!r} in SONAME or NEEDED is a path")
    if facts.text_relocations:
        yield Finding(
            kind="text-relocations", library=path, message="has text relocations", detail="compile with -fPIC"
        )
    if facts.kind != "ET_REL" and (facts.stack is None or facts.stack & PF_X):
        reason = "no PT_GNU_STACK header" if facts.stack is None else "an executable PT_GNU_STACK header"
        detail = "link with -z noexecstack; assembly files need a .note.GNU-stack section"
        message = f"asks for an executable stack ({reason})"
        yield Finding(kind="executable-stack", library=path, message=message, detail=detail)


def _check_glibc(path: str, facts: ElfFacts, promised: Version) -> Iterator[Finding]:
    needed = _highest(facts.versions, "GLIBC")
    if needed is not None and version_numbers(needed) > promised:
        message = f"needs glibc {needed}, the tag promises {_dotted(promised)}"
        yield Finding(kind="glibc", library=path, message=message)
    if "GLIBC_PRIVATE" in facts.versions:
        yield Finding(kind="glibc", library=path, message="needs private symbols of glibc (GLIBC_PRIVATE)")


def _highest(versions: Sequence[str], family: str) -> str | None:
    """Return the highest version of a family ("GLIBC" of "GLIBC_2.38"), as "2.38"."""
    implied: Mapping[str, Version] = {"GLIBC_ABI_DT_RELR": DT_RELR_GLIBC}
    numbers = [implied[name] for name in versions if name in implied and name.startswith(f"{family}_")]
    numbers += [
        version_numbers(name.partition("_")[2]) for name in versions if re.fullmatch(rf"{family}_[\d.]*\d", name)
    ]
    return _dotted(max(numbers)) if numbers else None


def version_numbers(version: str) -> Version:
    """Parse a version such as "2.38" into comparable numbers."""
    return tuple(int(part) for part in version.split("."))


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _check_build_paths(path: str, data: bytes) -> Iterator[Finding]:
    found = dict.fromkeys(match[0].decode("ascii") for match in BUILD_PATH.finditer(data))
    if found:
        message = f"{len(found)} string(s) look like paths of a build machine, such as {next(iter(found))}"
        yield Finding(kind="build-path", library=path, message=message, violation=False)
