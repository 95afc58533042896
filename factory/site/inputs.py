"""Inputs of the pages besides the ledger: settings and coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from factory.publish.ledger import Ledger
from factory.site.config import Settings, load_settings
from factory.site.coverage import Coverage, load_coverage, needed_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Settings and coverage of a site.

    `needed` has the versions that the coverage's stacks need, by project.
    """

    settings: Settings
    coverage: Coverage
    needed: Mapping[str, Sequence[str]] = field(default_factory=dict)


def load_site(ledger: Ledger) -> Site:
    """Read the settings and the coverage beside the ledger's folder.

    Raises:
        PublishError: one of the two files is damaged.
    """
    folder = ledger.folder.parent
    coverage = load_coverage(folder)
    return Site(settings=load_settings(folder), coverage=coverage, needed=needed_versions(coverage.stacks))
