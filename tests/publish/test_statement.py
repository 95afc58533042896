"""Signed statements: the materials that they name."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from factory.model.artifacts import SourceOrigin
from factory.model.record import CheckResult
from factory.publish.statement import make_statement, read_statement
from tests.support.records import record

WHEEL = "demo_lib-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
TOKEN = "glpat-0123456789abcdef"
TOKEN_URL = f"https://{TOKEN}@git.example"
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


def test_statement_has_no_secret_and_no_path_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever field of the record they are."""
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache, home = f"{tmp_path}/cache/layers/x", f"{tmp_path}/home/work"
    check = CheckResult(
        profile="rv64gc",
        passed=True,
        seconds=1.0,
        shown=f"read https://me:pa55word@index.example/simple from {home}",
        facts={"facts": {"index": ["https://me:pa55word@index.example/"], "path": cache}, "token": [f"{TOKEN_URL}/x"]},
    )
    local = replace(ORIGIN, urls=(f"file://{home}/demo.git",), folder="third_party")
    lock = 'source = "git+https://me:pa55word@git.example/x#1"\n'
    made = replace(
        record(),
        wheel=WHEEL,
        wheel_sha256="1" * 64,
        checks=(check,),
        sources=(local,),
        cargo_locks={"Cargo.lock": lock},
        replaced_requires={"old @ https://me:pa55word@index.example/old.whl": f"it is in {home}"},
    )
    statement = make_statement(made)
    product = json.loads(statement)["predicate"]["runDetails"]["byproducts"][0]["content"]
    for text in (statement.decode(), base64.b64decode(product).decode()):
        for secret in ("pa55word", TOKEN, str(tmp_path), "file:"):
            assert secret not in text
    stated = read_statement(statement).record
    assert stated is not None
    assert stated.checks[0].facts["facts"] == {
        "index": ["https://***@index.example/"],
        "path": "$FACTORY_CACHE/layers/x",
    }
    assert stated.cargo_locks["Cargo.lock"] == lock.replace("me:pa55word", "***")
