"""What stacks need on riscv64: asked of a real index, and told on the site."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.commands import coverage
from factory.errors import PublishError
from factory.publish.ledger import Ledger
from factory.publish.placing import write_simple
from factory.publish.server import serve
from factory.site.coverage import load_coverage
from factory.site.writing import site_pages
from tests.publish.wheelmaker import RISCV, make_wheel, release_of
from tests.site.ledgers import make_ledger
from tests.site.test_pages import plain


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with stacks and a ledger; pip is configured with an index that has some of what they need."""
    wheels = [
        make_wheel(tmp_path, "plain_text", "2.0"),
        make_wheel(tmp_path, "alpha", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64"),
        make_wheel(tmp_path, "alpha", "1.2", tag="cp313-cp313-musllinux_1_2_riscv64"),
        make_wheel(tmp_path, "alpha", "1.3", tag="cp312-cp312-manylinux_2_38_riscv64"),
        make_wheel(tmp_path, "alpha", "1.4rc1", tag=RISCV),
        make_wheel(tmp_path, "alpha", "1.10", tag=RISCV, requires=["plain-text"]),
        make_wheel(tmp_path, "alpha", "2.0", tag=RISCV, requires=["plain-text"]),
        make_wheel(tmp_path, "cuda", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64", requires=["alpha", "gone"]),
        make_wheel(tmp_path, "later", "1.0", tag="cp313-cp313-manylinux_2_40_riscv64"),
        make_wheel(tmp_path, "older", "1.0", tag="cp312-cp312-manylinux_2_38_riscv64"),
    ]
    files = {release_of(path): path for path in wheels}
    write_simple(list(files), files.__getitem__, tmp_path / "upstream")
    folder = make_ledger(tmp_path).folder.parent
    (folder / "stacks").mkdir()
    (folder / "stacks/Numbers.txt").write_text("# what people ask for\nalpha\n")
    (folder / "stacks/Nothing.txt").write_text("alpha==3.0\n")
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    with serve(tmp_path / "upstream") as url:
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple/")
        monkeypatch.setenv("UV_NO_CACHE", "1")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
        yield folder


def gather(folder: Path) -> int:
    parser = argparse.ArgumentParser()
    coverage.configure(parser)
    return coverage.run(parser.parse_args(["--index", str(folder)]))


def test_what_a_stack_needs_is_asked_of_the_configured_index(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gather(index) == 0
    assert "Numbers" in capsys.readouterr().out
    nothing, numbers = load_coverage(index).stacks
    assert nothing.pins == ()
    assert [(pin.project, pin.version, pin.offers) for pin in numbers.pins] == [
        ("alpha", "2.0", "upstream"),
        ("plain-text", "2.0", "pure"),
    ]
    assert "alpha==3.0" in nothing.problem
    assert dict(load_coverage(index).riscv64_since) == {"alpha": "1.10"}
    made = dict(site_pages(Ledger(index / "ledger")))
    page = plain(made["coverage/index.html"])
    assert "2 packages: 1 pure Python, 1 built here." in page
    assert "PyPI has no versions that go together, whatever the machine" in page
    assert "Its own project has wheels for riscv64 since version 1.10" in plain(made["project/alpha/index.html"])
    assert "alpha Adds numbers PyPI has it too since 1.10" in plain(made["index.html"])
    assert json.loads(made["project/alpha/index.json"])["upstream_since"] == "1.10"
    assert json.loads(made["project/plain-text/index.json"])["upstream_since"] is None


def test_a_project_for_uv_says_what_a_package_needs_that_has_no_wheel_for_riscv64(index: Path) -> None:
    (index / "stacks/Cuda.toml").write_text(
        '[project]\ndependencies = ["cuda", "plain-text; platform_machine != \'riscv64\'"]\n'
        '[[tool.uv.dependency-metadata]]\nname = "cuda"\nrequires-dist = ["alpha==1.10"]\n'
    )
    assert gather(index) == 0
    cuda = load_coverage(index).stacks[0]
    assert cuda.requirements[0] == "cuda"
    assert [(pin.project, pin.version, pin.offers, pin.source) for pin in cuda.pins] == [
        ("alpha", "1.10", "upstream", False),
        ("cuda", "1.0", "missing", False),
        ("plain-text", "2.0", "pure", False),
    ]


def test_a_wheel_for_a_newer_glibc_is_none_for_riscv64(index: Path) -> None:
    (index / "stacks/Numbers.txt").write_text("later\n")
    assert gather(index) == 0
    assert [pin.offers for pin in load_coverage(index).stacks[1].pins] == ["missing"]


@pytest.mark.parametrize("text", ["[", "[project]", "project = 3", "[project]\ndependencies = [3]", "\udc80"])
def test_what_is_no_stack_is_named(text: str, index: Path) -> None:
    (index / "stacks/Wrong.toml").write_text(text, errors="surrogateescape")
    with pytest.raises(PublishError, match=r"Wrong\.toml is no stack: ") as caught:
        gather(index)
    assert "project.dependencies" in str(caught.value.hint)


def test_a_stack_without_an_answer_in_time_is_named(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factory.coverage.LIMIT_SECONDS", 0.001)
    with pytest.raises(PublishError, match=r"no answer to what .*Nothing\.txt needs in 0 seconds") as caught:
        gather(index)
    assert "name versions that do" in str(caught.value.hint)


def test_what_nobody_has_is_missing_with_the_reason(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    names = ("alpha", "broken", "nowhere", "wheels-only")
    pins = [{"project": name, "version": "1", "offers": "missing", "source": name != "wheels-only"} for name in names]
    stack = {"name": "All", "requirements": ["all"], "pins": pins, "problem": ""}
    content = {"python": "3.13", "gathered": "2026-01-01", "stacks": [stack], "riscv64_since": {}}
    (ledger.folder.parent / "coverage.json").write_text(json.dumps(content))
    page = plain(dict(site_pages(ledger))["coverage/index.html"])
    assert "alpha 1 built here 1.10" in page
    assert "broken 1 build failed our build of it failed" in page
    assert "nowhere 1 missing its project has only its source for riscv64, and it was not built here" in page
    assert "wheels-only 1 missing its project has neither source nor a wheel for riscv64" in page


def test_a_damaged_coverage_is_named_with_its_cure(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    for text in ("{", "[]", '{"stacks": 3}', '{"stacks": [{"name": 1}]}'):
        (ledger.folder.parent / "coverage.json").write_text(text)
        with pytest.raises(PublishError, match=r"coverage\.json is damaged") as caught:
            load_coverage(ledger.folder.parent)
        assert caught.value.hint == "gather it anew: factory coverage"
