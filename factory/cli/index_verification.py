"""`factory index --verify`: an index compared with its ledger, and the ledger with its history."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.errors import IndexDiffers
from factory.publish.ledger import Ledger
from factory.publish.ledger_history import find_uncommitted, find_violations, has_history
from factory.publish.license_texts import license_texts_path
from factory.publish.logs import log_name
from factory.publish.own_keys import statements_path
from factory.publish.release import Release
from factory.publish.reports import with_reports
from factory.publish.verify import find_differences
from factory.util.quantities import quantity

NO_HISTORY = "ledger history not verified: the ledger is not in a git repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The number of files and linked files that match the ledger, and what was compared."""

    output: str
    files: int
    linked: int
    links_compared: bool
    history_compared: bool
    uncommitted: int
    ledger: str

    def lines(self) -> list[str]:
        """Return the lines for people."""
        lines = [f"{quantity(self.files, 'file')} and all pages in {self.output} match the ledger"]
        if self.linked:
            state = "compared with the ledger" if self.links_compared else "not verified: add --check-links"
            lines.append(f"{quantity(self.linked, 'linked file')}: {state}")
        lines.append("no committed entry of the ledger was changed or removed" if self.history_compared else NO_HISTORY)
        if self.uncommitted:
            lines.append(f"not committed yet: {quantity(self.uncommitted, 'entry', 'entries')}: commit {self.ledger}")
        return lines


def verify(ledger: Ledger, output: Path, *, check_links: bool = False) -> Verification:
    """Compare an index with its ledger, and the ledger with its history in git.

    With `check_links` linked files are fetched and compared too.

    Raises:
        IndexDiffers: with every difference.
    """
    from factory.site.verify import page_differences

    with ledger.locked_if_writable():
        releases, kept = ledger.read(), has_history(ledger.folder)
        found = [
            *find_differences(releases, output, further=_sidecars(releases, ledger)),
            *page_differences(ledger, output),
            *(find_violations(ledger.folder, releases) if kept else ()),
        ]
    linked = [release for release in releases if release.url is not None]
    found += _compare_links(linked) if check_links else ()
    if found:
        raise IndexDiffers(
            f"{output}: index differs from its ledger:\n  " + "\n  ".join(found),
            hint="restore pages with factory index --pages-only --force, files with factory index --force, and ledger "
            "entries from git; a file that a killed publisher left is added to the ledger by factory index, and can be "
            "removed if it was never published",
        )
    return Verification(
        output=str(output),
        files=len(releases) - len(linked),
        linked=len(linked),
        links_compared=check_links,
        history_compared=kept,
        uncommitted=len(find_uncommitted(ledger.folder, releases)) if kept else 0,
        ledger=str(ledger.folder),
    )


def _sidecars(releases: Sequence[Release], ledger: Ledger) -> Mapping[str, str]:
    """Map the sidecar files that reports describe to their sha256."""
    from factory.publish.sbom import sbom, sbom_name

    found: dict[str, str] = {}
    for release, report in with_reports(releases, ledger.folder):
        if report is not None and report.build is not None:
            made = sbom(release, report, report.build)
            found[sbom_name(release.filename)] = hashlib.sha256(made).hexdigest()
            found |= {log_name(release.filename, log): log.sha256 for log in report.build.logs}
            if report.build.license_texts:
                found[license_texts_path(Path(), release.filename).name] = report.build.license_texts
            if report.build.statements:
                found[statements_path(Path(release.filename)).name] = report.build.statements
    return found


def _compare_links(linked: Sequence[Release]) -> tuple[str, ...]:
    from factory.publish.remote_files import find_remote_differences

    return find_remote_differences(linked)
