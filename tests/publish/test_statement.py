"""Signed statements: the materials that they name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from factory.model.artifacts import SourceOrigin
from factory.publish.statement import make_statement
from tests.support.records import record

WHEEL = "demo_lib-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
ORIGIN = SourceOrigin(kind="git", urls=("https://git.example/demo",), commit="0" * 40)


@pytest.mark.parametrize(
    ("changes", "uris"),
    [
        ({}, ["pkg:pypi/demo-lib@1.0"]),
        ({"sources": (ORIGIN,)}, [None, "https://git.example/demo"]),
        ({"sources": (replace(ORIGIN, folder="third_party"),)}, ["pkg:pypi/demo-lib@1.0"]),
        ({"repacked_from": "python3-demo"}, [None]),
    ],
)
def test_source_has_purl_only_if_it_is_on_an_index(changes: dict[str, object], uris: list[str | None]) -> None:
    """The recipe has another name than its project, as those of a second version."""
    made = replace(record(), name="demo-lib-1", wheel=WHEEL, wheel_sha256="1" * 64, **changes)  # type: ignore[arg-type]
    statement = json.loads(make_statement(made))
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [each.get("uri") for each in materials if each["name"] == "source"] == uris
