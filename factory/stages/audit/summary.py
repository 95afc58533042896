"""The summary of an audit that the build record keeps."""

from __future__ import annotations

from pathlib import PurePosixPath

from factory.elf.bundled import is_bundled
from factory.model.record import AuditSummary, DispatchedLibrary
from factory.stages.audit.report import AuditReport, LibraryReport
from factory.stages.audit.versions import version_numbers

# Prefixes of the extensions that V consists of.
PARTS_OF_V = ("zve", "zvl")


def summarize(report: AuditReport) -> AuditSummary:
    """Summarize a clean report, where all code beyond the baseline is dispatched."""
    libraries = report.libraries
    own = {name for library in libraries for name in (library.soname, PurePosixPath(library.path).name) if name}
    return AuditSummary(
        libraries=len(libraries),
        glibc=max((library.glibc for library in libraries if library.glibc), key=version_numbers, default=None),
        dispatched=tuple(
            DispatchedLibrary(path=library.path, extensions=_extensions(library))
            for library in libraries
            if library.beyond_baseline
        ),
        system_libraries=tuple(sorted({name for library in libraries for name in library.needed} - own)),
        bundled={library.path: library.sha256 for library in libraries if is_bundled(library.path)},
        sboms=report.sboms,
        licenses=report.licenses,
    )


def _extensions(library: LibraryReport) -> tuple[str, ...]:
    """Return the extensions beyond the baseline, without the parts of V."""
    names = {name.lower() for name in (*(use.extension for use in library.uses), *library.declares)}
    return tuple(sorted(name for name in names if "v" not in names or not name.startswith(PARTS_OF_V)))
