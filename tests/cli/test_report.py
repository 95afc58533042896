"""`factory report`: the state of a store and a ledger as Markdown."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.commands import report as command
from factory.cli.parser import parse_arguments
from factory.model.artifacts import CompilerCacheUse, RepairedWheel
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.ledgers import FAILURE, make_coverage, make_ledger, pin
from tests.support.projects import make_project
from tests.support.recipes import SMALLEST, write
from tests.support.records import record

WHEEL = "spam-1.0-cp313-cp313-manylinux_2_38_riscv64.whl"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project and its cache.

    Its recipes are spam, which is built, broken, which fails, and eggs.
    """
    make_project(tmp_path)
    for name in ("broken", "eggs"):
        write(tmp_path / "recipes", SMALLEST.replace("spam", name), name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def add_build(project: Path, finished: str, content: bytes, wheel: str = WHEEL) -> None:
    (project / wheel).write_bytes(content)
    use = CompilerCacheUse(hits=3, misses=1)
    made = replace(record(finished[:10].replace("-", "") * 8, finished=finished), name="spam", compiler_cache=use)
    repaired = RepairedWheel(path=project / wheel, sha256=sha256_of(project / wheel), platform_tags=())
    Store(project / "cache/store").add(made, repaired)


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.run(parse_arguments(["report", *arguments])) == 0
    return capsys.readouterr().out


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}")[2].partition("\n## ")[0]


def test_report_of_nothing_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = report(capsys)
    assert "3 recipes: 0 built, 3 not built; 0 failing." in text
    assert "| eggs | 1.0 | no |" in section(text, "Recipes")
    assert "There is no coverage.json" in section(text, "Coverage")


def test_report_has_facts_of_store_and_ledger(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = make_ledger(project)
    make_coverage(ledger, [pin("alpha", "1.10", "missing", "missing")])
    add_build(project, "2026-01-01T00:00:00+00:00", b"x" * 1000)
    add_build(project, "2026-01-02T00:00:00+00:00", b"x" * 2000, WHEEL.replace("1.0", "1.1"))
    Store(project / "cache/store").add_failure(replace(FAILURE, finished="2026-03-09T00:00:00+00:00"))
    text = report(capsys)
    assert "3 recipes: 1 built, 2 not built; 1 failing." in text
    assert "| broken | 0.1 | 3.13 | build | 2026-03-04 | 2026-03-09 | " in section(text, "Failing")
    assert "| spam | 1.0 | 1.1 | 3.13 | rv64gc | 0.0 s | not recorded | not recorded | 2.0 kB | 2026-01-02 |" in text
    assert "| alpha 1.10 | cp313-cp313 | 4 min 41 s |" in section(text, "Slowest builds")
    assert "| spam 1.1 | cp313-cp313 | 4 | 3 | <code>75&#37;</code> |" in section(text, "Compiler cache")
    assert "<code>&#43;100.0&#37;</code> |" in section(text, "Sizes over time")
    assert "## Coverage, as of 2026-01-01\n\n| stack | Python |" in text


def test_report_leaves_out_other_projects_in_the_store(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(project / "cache/store").add_failure(replace(FAILURE, name="elsewhere"))
    text = report(capsys)
    assert "0 failing." in text
    assert "elsewhere" not in text


def test_report_escapes_what_builds_print(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = "a | b <script>alert(1)</script> `code` @somebody [x](http://example.org)\n## Heading\x1b[31m"
    Store(project / "cache/store").add_failure(replace(FAILURE, message=message))
    (line,) = [line for line in report(capsys).splitlines() if line.startswith("| broken | 0.1")]
    assert not set("<`@[\x1b") & set(line.replace("<code>", "").replace("</code>", ""))
    assert line.count(" | ") == 6


def test_report_as_json_has_the_same_facts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_build(project, "2026-01-01T00:00:00+00:00", b"x")
    Store(project / "cache/store").add_failure(FAILURE)
    content = json.loads(report(capsys, "--json"))
    assert content["recipes"] == {"broken": "1.0", "eggs": "1.0", "spam": "1.0"}
    assert [(each["recipe"], each["hits"], each["size"]) for each in content["builds"]] == [("spam", 3, 1)]
    assert content["failures"][0]["since"] == FAILURE.finished


def test_page_of_packages_keeps_builds_of_the_same_version(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = project / "packages.md"
    add_build(project, "2026-01-01T00:00:00+00:00", b"x" * 1000, WHEEL.replace("1.0", "1.0.0"))
    assert "3 recipes: 6.0 lines on average" in report(capsys, "--packages", str(page))
    built = "| spam | 1.0 | 6 | 0 | 0.0 s | not recorded | 1.0 kB | 3.13 | rv64gc |"
    assert built in page.read_text()
    assert "| eggs | 1.0 | 6 | 0 | not built |" in page.read_text()
    content = json.loads(report(capsys, "--packages", str(page), "--json"))
    assert [(each["name"], each["lines"]) for each in content["recipes"]] == [("broken", 6), ("eggs", 6), ("spam", 6)]
    shutil.rmtree(project / "cache/store")
    report(capsys, "--packages", str(page))
    assert built in page.read_text()
    recipe = project / "recipes/spam/recipe.toml"
    recipe.write_text(f'{recipe.read_text().replace("1.0", "2.0")}\n[build]\napt = ["zlib1g-dev"] # why\n# a comment\n')
    report(capsys, "--packages", str(page))
    assert "| spam | 2.0 | 8 | 0 | not built |" in page.read_text()
