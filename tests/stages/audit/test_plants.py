"""Tests of planted wheels: bad ones are caught, good ones pass, the docs list them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.model.target import Target
from factory.stages.audit.auditor import AuditReport, audit_wheel
from tests.support.bad_wheels import BAD
from tests.support.good_wheels import GOOD
from tests.support.plants import Plant

DOCS = Path(__file__).parents[3] / "docs/security.md"
BEGIN, END = "<!-- plants -->", "<!-- end of plants -->"


def audit(plant: Plant, folder: Path) -> AuditReport:
    return audit_wheel(
        plant.make(folder),
        plant.options,
        Target(),
        compiled_source=plant.compiled_source,
        trust_declaration=plant.trust,
    )


@pytest.mark.parametrize("plant", BAD, ids=lambda plant: plant.what)
def test_bad_wheel_is_caught(plant: Plant, tmp_path: Path) -> None:
    report = audit(plant, tmp_path)
    findings = report.violations if plant.violation else report.notes
    assert plant.kind in {finding.kind for finding in findings}, report
    assert report.ok is not plant.violation


@pytest.mark.parametrize("plant", BAD, ids=lambda plant: plant.what)
def test_bad_wheel_is_caught_for_nothing_else(plant: Plant, tmp_path: Path) -> None:
    """Otherwise a plant could be caught by accident."""
    assert {finding.kind for finding in audit(plant, tmp_path).violations} <= {plant.kind}


@pytest.mark.parametrize("plant", GOOD, ids=lambda plant: plant.what)
def test_good_wheel_is_not_accused(plant: Plant, tmp_path: Path) -> None:
    report = audit(plant, tmp_path)
    assert report.violations == ()
    assert {plant.kind} - {""} <= {note.kind for note in report.notes}


def rows() -> Iterator[str]:
    """Yield the lines of the table in docs/security.md."""
    yield f"{len(BAD)} bad wheels, {len(BAD)} caught:"
    yield ""
    yield "| bad wheel | caught as |"
    yield "|---|---|"
    for plant in BAD:
        yield f"| {plant.what} | {'' if plant.violation else 'note: '}`{plant.kind}` |"
    yield ""
    yield f"{len(GOOD)} good wheels, 0 accused:"
    yield ""
    yield "| good wheel | note |"
    yield "|---|---|"
    for plant in GOOD:
        yield f"| {plant.what} | {f'`{plant.kind}`' if plant.kind else ''} |"


def test_docs_have_the_table_of_plants() -> None:
    text = DOCS.read_text()
    table = text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip()
    assert table.splitlines() == list(rows())
