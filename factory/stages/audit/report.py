"""Report of an audit: values, text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from factory.errors import AuditFailed
from factory.util.quantities import quantity

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violation or note about a wheel or, if `library` is not empty, about a file in it.

    `kind` is a word for programs ("isa", "glibc", "run-path", ...); `detail` is the remedy, if known. `library` is the
    glob for a declaration that matches no file.
    """

    kind: str
    library: str
    message: str
    detail: str = ""
    violation: bool = True

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.library, self.message)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """An instruction in a library: section, address, encoding in hexadecimal, nearest symbol."""

    section: str
    address: int
    encoding: str
    symbol: str | None

    def __str__(self) -> str:
        place = f"{self.section} {self.address:#x}" + (f" ({self.symbol})" if self.symbol else "")
        return f"{self.encoding} at {place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionUse:
    """A library's instructions of one extension beyond the baseline: count and examples."""

    extension: str
    count: int
    examples: tuple[Location, ...]

    def __str__(self) -> str:
        return f"{self.count} x {self.extension} (first: {self.examples[0]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryReport:
    """The audit of one ELF file: path in the wheel, size, extensions, dependencies.

    `arch` is its Tag_RISCV_arch, `declares` the extensions beyond the baseline in it, `uses` the instructions of such
    extensions. `glibc` and `glibcxx` are the highest symbol versions needed ("2.38", "3.4.32").
    """

    path: str
    sha256: str
    size: int
    arch: str | None
    declares: tuple[str, ...]
    uses: tuple[ExtensionUse, ...]
    dispatched: bool
    glibc: str | None
    glibcxx: str | None
    soname: str | None
    needed: tuple[str, ...]
    run_path: tuple[str, ...]

    @property
    def beyond_baseline(self) -> bool:
        return bool(self.declares or self.uses)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The audit of one wheel.

    `declared` are the globs of the libraries that the recipe declares as dispatched; `sboms` are the paths of the bills
    of materials in the wheel (PEP 770), `licenses` those of licence files (PEP 639).
    """

    wheel: str
    declared: tuple[str, ...]
    libraries: tuple[LibraryReport, ...]
    findings: tuple[Finding, ...]
    sboms: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.violation)

    @property
    def notes(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.violation)

    @property
    def ok(self) -> bool:
        return not self.violations

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of `factory audit --json`; `version` is incremented with its format."""
        return {
            "version": VERSION,
            "wheel": self.wheel,
            "ok": self.ok,
            "dispatched": list(self.declared),
            "libraries": [asdict(library) for library in self.libraries],
            "violations": [_plain(finding) for finding in self.violations],
            "notes": [_plain(finding) for finding in self.notes],
        }


def require_clean(report: AuditReport) -> None:
    """Raise an error unless the wheel is what its tag and its recipe promise.

    Raises:
        AuditFailed: the report has violations; the hint says what to change in the recipe or the build.
    """
    if report.ok:
        return
    lines = [f"{report.wheel}: the audit failed:", *(f"  {finding}" for finding in report.violations)]
    raise AuditFailed("\n".join(lines), hint=_hint(report))


def render_text(report: AuditReport) -> str:
    """Format the report for `factory audit`: libraries, notes, violations, verdict."""
    blocks = [report.wheel, *(line for library in report.libraries for line in _library_lines(library))]
    blocks += [f"  note: {finding}" for finding in report.notes]
    blocks += [f"  violation: {finding}" for finding in report.violations]
    hint = None if report.ok else _hint(report)
    if hint:
        blocks.append(f"  hint: {hint}")
    return "\n".join([*blocks, _verdict(report)])


def _verdict(report: AuditReport) -> str:
    libraries = quantity(len(report.libraries), "ELF file")
    return (
        f"ok: {libraries}" if report.ok else f"failed: {quantity(len(report.violations), 'violation')} in {libraries}"
    )


def _library_lines(library: LibraryReport) -> Iterator[str]:
    yield f"  {library.path}{'  (run-time dispatched)' if library.dispatched else ''}"
    needs = [
        f"{name} {version}" for name, version in (("glibc", library.glibc), ("GLIBCXX", library.glibcxx)) if version
    ]
    if needs:
        yield f"    needs {', '.join(needs)}"
    if library.declares:
        yield f"    declares beyond rv64gc: {' '.join(library.declares)}"
    for use in library.uses:
        yield f"    contains beyond rv64gc: {use}"


def _hint(report: AuditReport) -> str | None:
    # A wheel without its extension often has a wrong tag too, which is no mistake of its own.
    pure_first = sorted(report.violations, key=lambda finding: finding.kind != "purity")
    details = [finding.detail for finding in pure_first if finding.detail]
    foreign = {finding.library for finding in report.violations if finding.kind == "isa"}
    if foreign:
        stale = {finding.library for finding in report.violations if finding.kind == "dispatched"}
        details.append(_dispatch_hint(sorted(foreign | set(report.declared) - stale)))
    return "\n        ".join(dict.fromkeys(details)) or None


def _dispatch_hint(libraries: Sequence[str]) -> str:
    """Return build options to look for, and the recipe's lines for dispatched libraries."""
    listed = ", ".join(f'"{library}"' for library in libraries)
    return (
        "build for the baseline (-march=rv64gc -mabi=lp64d: look for -march, -mcpu or a SIMD option in the build);\n"
        "        or, if that code is entered only after run-time detection, declare it in the recipe:\n"
        f"          [audit]\n          dispatched = [{listed}]"
    )


def _plain(finding: Finding) -> dict[str, str]:
    return {"kind": finding.kind, "library": finding.library, "message": finding.message, "detail": finding.detail}
