"""Audit of a wheel: its ELF files, their dependencies, its metadata.

A library may contain code beyond the baseline only if the recipe declares it as dispatched: entered after run-time
detection. A declaration that matches nothing is a violation too, since it could hide a later mistake.

A build path in NEEDED, SONAME or a run path breaks the library on other machines: a violation. In other strings
(assertions, debug information) it is a note. Static archives are not read, since nothing loads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from factory.elf.bounds import MalformedElf
from factory.elf.reader import ElfFacts, read_elf
from factory.model.audit_declaration import DECLARATION, decode_declaration, encode_declaration, merge_declarations
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit.bill import check_bill
from factory.stages.audit.libraries import check_build_paths, check_code, check_machine, fits, report_on
from factory.stages.audit.loading import Surroundings, all_names, check_file, check_links, check_versions
from factory.stages.audit.nested import Nested, Search
from factory.stages.audit.policy import promise_of
from factory.stages.audit.record import Hashed, check_record
from factory.stages.audit.report import AuditReport, Finding, LibraryReport, render_text, require_clean
from factory.stages.audit.tags import check_purity, check_tags, glibc_promised, tags_of_name
from factory.stages.audit.wheel_reader import CONTENT_BYTES, Member, WheelFile, open_wheel

__all__ = ["AuditReport", "Finding", "LibraryReport", "audit_wheel", "render_text", "require_clean"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Findings of one pass over a wheel's files.

    `libraries` and `links` are its ELF files, `nested` those inside other files; the facts in `links` and
    `nested_links` are without the code.
    """

    options: AuditOptions
    files: dict[str, Hashed] = field(default_factory=dict)
    libraries: list[LibraryReport] = field(default_factory=list)
    links: list[tuple[str, ElfFacts]] = field(default_factory=list)
    nested: list[LibraryReport] = field(default_factory=list)
    nested_links: list[tuple[str, ElfFacts]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    search: Search = field(default_factory=Search)


def audit_wheel(
    wheel: Path, options: AuditOptions, target: Target, *, compiled_source: str = "", trust_declaration: bool = False
) -> AuditReport:
    """Audit a wheel against its own tag, the recipe's declarations and the target.

    `compiled_source` is a file of the source that a build should compile, empty if there is none or no source.
    `trust_declaration` adds the declarations that the wheel carries; otherwise they must be those of `options`.

    Raises:
        AuditFailed: `wheel` is not a readable wheel. The report has the findings of a readable one.
    """
    tags = tags_of_name(wheel)
    platforms = sorted({tag.platform for tag in tags})
    glibc = glibc_promised(platforms, target)
    with open_wheel(wheel) as archive:
        declared, findings = _declarations(archive, options, trust_declaration)
        seen = Seen(options=declared, findings=[*check_tags(archive.tags(), tags, target), *findings])
        for member in archive.members():
            _see(member, seen)
        findings = [
            *check_purity(archive.is_pure(), platforms, seen.libraries, "" if options.pure else compiled_source)
        ]
        findings += [*check_record(archive, seen.files), *check_bill(archive, seen.libraries)]
        sboms, licenses = archive.sboms(), archive.licenses()
    around = Surroundings(
        glibc=glibc,
        promise=promise_of(glibc),
        names=all_names(seen.links),
        atomics=frozenset[str]().union(*(facts.defined for _, facts in seen.links)),
        provided=declared.provided,
    )
    for path, facts in seen.links:
        findings += check_links(path, facts, around)
    for path, facts in seen.nested_links:
        findings += check_versions(path, facts, around)
    findings += [*_check_duplicates(seen.libraries), *_check_declared(seen)]
    return AuditReport(
        wheel=wheel.name,
        declared=declared.dispatched,
        libraries=tuple(seen.libraries),
        findings=(*seen.findings, *findings),
        sboms=sboms,
        licenses=licenses,
    )


def _declarations(archive: WheelFile, options: AuditOptions, trusted: bool) -> tuple[AuditOptions, list[Finding]]:
    """Return the declarations that count, and a finding if those of the wheel are others."""
    content = archive.metadata(DECLARATION)
    if content is None:
        return options, []
    try:
        carried = decode_declaration(content)
    except ValueError as error:
        return options, [Finding(kind="declaration", library="", message=f"its {DECLARATION} cannot be read: {error}")]
    if trusted:
        message = f"what is declared as dispatched or provided is from its own {DECLARATION}"
        return merge_declarations(options, carried), [
            Finding(kind="declaration", library="", message=message, violation=False)
        ]
    if encode_declaration(carried) == encode_declaration(options):
        return options, []
    message = f"its {DECLARATION} declares other libraries than [audit] in the recipe"
    return options, [Finding(kind="declaration", library="", message=message, detail="build the wheel again")]


def _see(member: Member, seen: Seen) -> None:
    """Audit what can be said of one file alone."""
    seen.files[member.path] = Hashed(size=member.size, sha256=member.sha256)
    if member.content is None:
        message = f"not searched for ELF files: it has more than {CONTENT_BYTES >> 20} MB"
        seen.findings.append(Finding(kind="nested", library=member.path, message=message, violation=False))
        return
    if member.is_elf:
        seen.findings.extend(_audit_library(member.path, member.content, seen))
        seen.findings.extend(check_build_paths(member.path, member.content))
    for nested in seen.search.find(member.path, member.content):
        seen.findings.extend(_audit_nested(nested, seen))


def _audit_library(path: str, data: bytes, seen: Seen) -> Iterator[Finding]:
    """Audit one ELF file; a malformed one has only a finding."""
    try:
        facts = read_elf(data)
    except MalformedElf as error:
        yield Finding(kind="elf", library=path, message=f"not a readable ELF file ({error})")
        return
    report, use = report_on(path, data, facts, seen.options.dispatched)
    seen.libraries.append(report)
    seen.links.append((path, replace(facts, code=())))
    yield from check_machine(path, facts)
    yield from check_code(report, use)
    yield from check_file(path, data, facts)


def _audit_nested(nested: Nested, seen: Seen) -> Iterator[Finding]:
    """Audit instructions, ABI and versions of an ELF file inside another file."""
    if nested.problem:
        yield Finding(kind="nested", library=nested.path, message=nested.problem, violation=nested.too_large)
        return
    try:
        facts = read_elf(nested.data)
    except MalformedElf as error:
        message = f"inside another file, and not a readable ELF file ({error})"
        yield Finding(kind="nested", library=nested.path, message=message, violation=False)
        return
    machine = facts.machine.removeprefix("EM_")
    message = f"an ELF file for {machine} inside another file"
    yield Finding(kind="nested", library=nested.path, message=message, violation=False)
    if facts.machine == "EM_RISCV":
        report, use = report_on(nested.path, nested.data, facts, seen.options.dispatched)
        seen.nested.append(report)
        seen.nested_links.append((nested.path, replace(facts, code=())))
        yield from check_machine(nested.path, facts)
        yield from check_code(report, use)


def _check_duplicates(libraries: list[LibraryReport]) -> Iterator[Finding]:
    paths: dict[str, list[str]] = {}
    for library in libraries:
        paths.setdefault(library.sha256, []).append(library.path)
    for same in paths.values():
        if len(same) > 1:
            message = f"the same bytes as {', '.join(same[1:])}"
            detail = "links are stored as copies in a wheel: install one file, under its SONAME"
            yield Finding(kind="duplicate", library=same[0], message=message, detail=detail)


def _check_declared(seen: Seen) -> Iterator[Finding]:
    """Check that each declaration matches something."""
    for glob in seen.options.dispatched:
        if not any(fits(library.path, glob) for library in (*seen.libraries, *seen.nested)):
            message = "declared as run-time dispatched, but matches no library of the wheel"
            detail = f'remove "{glob}" from [audit] dispatched in the recipe, or correct it'
            yield Finding(kind="dispatched", library=glob, message=message, detail=detail)
    for name in seen.options.provided:
        if not any(name in facts.needed for _, facts in seen.links):
            message = "declared as provided by another package, but no library of the wheel needs it"
            detail = f'remove "{name}" from [audit] provided in the recipe, or correct it'
            yield Finding(kind="provided", library=name, message=message, detail=detail)
