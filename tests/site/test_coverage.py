"""Coverage of stacks and requirements files, queried from a real index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.main import main
from factory.errors import PublishError
from factory.publish.index_files import write_simple
from factory.publish.ledger import Ledger
from factory.publish.reports import write_report
from factory.publish.server import serve
from factory.site import filters
from factory.site.coverage import load_coverage
from factory.site.states import MISSING, PURE, UPSTREAM
from factory.site.writer import site_pages
from tests.support.ledgers import ALPHA_NEXT, FAILURE, build, make_coverage, make_ledger, pin, release, report
from tests.support.page_text import plain
from tests.support.wheelmaker import RISCV, make_wheel, release_of

NEWER = RISCV.replace("cp313", "cp314")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a folder with stacks and a ledger, and configure an index for pip."""
    wheels = [
        make_wheel(tmp_path, "plain_text", "2.0"),
        make_wheel(tmp_path, "alpha", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64"),
        make_wheel(tmp_path, "alpha", "1.2", tag="cp313-cp313-musllinux_1_2_riscv64"),
        make_wheel(tmp_path, "alpha", "1.3", tag="cp312-cp312-manylinux_2_38_riscv64"),
        make_wheel(tmp_path, "alpha", "1.4rc1", tag=RISCV),
        make_wheel(tmp_path, "alpha", "1.5", tag=RISCV),
        make_wheel(tmp_path, "alpha", "1.6", tag="cp313-cp313-manylinux_2_17_x86_64"),
        make_wheel(tmp_path, "alpha", "1.10", tag=RISCV, requires=["plain-text"]),
        make_wheel(tmp_path, "alpha", "2.0", tag=RISCV, requires=["plain-text"]),
        make_wheel(tmp_path, "alpha", "2.0", tag=NEWER, requires=["plain-text"]),
        make_wheel(tmp_path, "alpha", "3.0", tag="cp312-cp312-manylinux_2_38_riscv64", requires_python="<3.13"),
        make_wheel(tmp_path, "broken", "1.0", tag=RISCV),
        make_wheel(tmp_path, "broken", "1.1", tag="cp313-cp313-manylinux_2_17_x86_64"),
        make_wheel(tmp_path, "cuda", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64", requires=["alpha", "gone"]),
        make_wheel(tmp_path, "elsewhere", "1.0"),
        make_wheel(tmp_path, "later", "1.0", tag="cp313-cp313-manylinux_2_40_riscv64"),
        make_wheel(tmp_path, "older", "1.0", tag="cp312-cp312-manylinux_2_38_riscv64"),
    ]
    files = {release_of(path): path for path in wheels}
    write_simple(list(files), files.__getitem__, tmp_path / "upstream")
    folder = make_ledger(tmp_path).folder.parent
    (folder / "stacks").mkdir()
    (folder / "stacks/Numbers.txt").write_text("# what people ask for\nalpha\n")
    (folder / "stacks/Nothing.txt").write_text("alpha==4.0\n")
    monkeypatch.setenv("FACTORY_CACHE", str(tmp_path / "cache"))
    with serve(tmp_path / "upstream") as url:
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple/")
        monkeypatch.setenv("UV_NO_CACHE", "1")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
        yield folder


def gather(folder: Path, *options: str) -> int:
    return main(["coverage", "--index", str(folder), *options])


def test_coverage_queries_the_configured_index(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gather(index) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines() if "Numbers" in line] == [
        ["Numbers", python, "2", "1", "1", "0", "0", "0", "0", "0"] for python in ("3.13", "3.14")
    ]
    nothing, numbers = load_coverage(index).stacks
    assert nothing.pins == ()
    alpha = pin("alpha", "2.0", UPSTREAM, UPSTREAM, source=False)
    assert numbers.pins == (alpha, pin("plain-text", "2.0", PURE, PURE, source=False))
    assert all("alpha==4.0" in nothing.problems[python] for python in ("3.13", "3.14"))
    made = dict(site_pages(Ledger(index / "ledger")))
    page = plain(made["coverage/index.html"])
    assert "Python 3.13: 2 of 2 packages install without a compiler (1 pure Python, 1 riscv64 on PyPI)." in page
    assert "Python 3.14: PyPI has no compatible versions of these packages, for any machine" in page


def test_riscv64_since_is_first_version_without_later_gap(index: Path) -> None:
    Ledger(index / "ledger").add(release(f"broken-1.0-{RISCV}.whl"))  # whose newest version on PyPI has none
    assert gather(index) == 0
    assert load_coverage(index).riscv64_since == {"alpha": {"3.13": "1.10", "3.14": "2.0"}}
    made = dict(site_pages(Ledger(index / "ledger")))
    words = "since version 1.10 for Python 3.13, 2.0 for Python 3.14. For these versions, plain pip install alpha"
    assert words in plain(made["project/alpha/index.html"])
    assert "alpha Adds numbers PyPI has riscv64 wheels since 1.10 for Python 3.13, 2.0 for" in plain(made["index.html"])
    assert json.loads(made["project/alpha/index.json"])["upstream_since"] == {"3.13": "1.10", "3.14": "2.0"}
    assert json.loads(made["project/plain-text/index.json"])["upstream_since"] == {}


def test_since_names_pythons_only_if_versions_differ() -> None:
    assert filters.since({"3.13": "1.0", "3.14": "1.0"}) == "1.0"
    assert filters.since({"3.14": "1.0"}) == "1.0 for Python 3.14"
    assert filters.since({"3.12": "1.0"}) == "1.0 for Python 3.12"


def test_toml_stack_gives_metadata_of_package_without_wheel(index: Path) -> None:
    (index / "stacks/Cuda.toml").write_text(
        '[project]\ndependencies = ["cuda", "plain-text; platform_machine != \'riscv64\'"]\n'
        '[[tool.uv.dependency-metadata]]\nname = "cuda"\nrequires-dist = ["alpha==1.10"]\n'
    )
    assert gather(index) == 0
    cuda = load_coverage(index).stacks[0]
    assert cuda.requirements[0] == "cuda"
    assert "3.14" in cuda.problems  # it has wheels for Python 3.13 alone
    assert cuda.pins == (
        pin("alpha", "1.10", UPSTREAM, source=False),
        pin("cuda", "1.0", MISSING, source=False),
        pin("plain-text", "2.0", PURE, source=False),
    )


def test_wheel_for_newer_glibc_counts_as_missing(index: Path) -> None:
    (index / "stacks/Numbers.txt").write_text("later\n")
    assert gather(index) == 0
    assert [pin.offers for pin in load_coverage(index).stacks[1].pins] == [{"3.13": MISSING}]


def test_invalid_stack_error_names_the_file(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in ("[", "tool = 3", "[project]", "project = 3", "[project]\ndependencies = [3]", "\udc80"):
        (index / "stacks/Wrong.toml").write_text(content, errors="surrogateescape")
        (index / "stacks/Nothing.txt").unlink(missing_ok=True)
        (index / "stacks/Numbers.txt").unlink(missing_ok=True)
        assert gather(index) == PublishError.exit_code
        told = capsys.readouterr().err
        assert "Wrong.toml: not a stack: " in told
        assert "hint: name a requirements file, or a TOML file with project.dependencies" in told


def test_stack_beyond_time_limit_error_names_the_stack(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("factory.site.availability.LIMIT_SECONDS", 0.001)
    assert gather(index) == PublishError.exit_code
    told = capsys.readouterr().err
    assert "Nothing: resolution failed: uv found no solution in 0 seconds" in told
    assert "hint: uv tries" in told


REQUIREMENTS = """\
broken>=1.0  # ours failed
-r more.txt
later; platform_machine == "riscv64"
elsewhere; platform_machine == "x86_64"
"""


def write_requirements(folder: Path, lines: str = REQUIREMENTS) -> Path:
    (folder / "more.txt").write_text("alpha==1.10\nplain_text\n-c limits.txt\n")
    (folder / "limits.txt").write_text("broken<1.1\n")
    (folder / "requirements.txt").write_text(lines)
    return folder / "requirements.txt"


def test_requirements_file_is_reported_and_nothing_written(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.toml").write_text('[project]\ndependencies = ["alpha"]\n')
    file = write_requirements(tmp_path, "broken==1.1\nplain-text\n")
    assert gather(index, "-r", str(file), "-r", str(tmp_path / "own.toml")) == 0
    table, _, rest = capsys.readouterr().out.partition("Python 3.13: ")
    assert [line.rstrip().split(maxsplit=2) for line in table.splitlines()[1:]] == [
        ["broken", "1.1", "build failed: our build of 0.1 failed at stage build"],
        ["alpha", "2.0", "riscv64 on PyPI"],
        ["plain-text", "2.0", "pure Python"],
    ]
    assert rest.startswith("no compiler is needed for 2 of 3 packages\nPython 3.14: no compatible versions:\n")
    assert not (index / "coverage.json").exists()


def test_requirements_file_with_json_option_prints_json(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gather(index, "-r", str(write_requirements(tmp_path)), "--json") == 0
    (stack,) = json.loads(capsys.readouterr().out)
    kinds = {(row["project"], row["version"]): row["cells"]["3.13"]["kind"] for row in stack["rows"]}
    assert kinds == {
        ("later", "1.0"): "missing",
        ("alpha", "1.10"): "upstream",
        ("broken", "1.0"): "upstream",
        ("plain-text", "2.0"): "pure",
    }


def test_unsatisfiable_requirements_are_named(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lines, message in (
        ("nowhere\n", "no compatible versions for any Python:"),
        ("alpha===\n", "Couldn't parse requirement"),
        ("-r gone.txt\n", "gone.txt"),
    ):
        assert gather(index, "-r", str(write_requirements(tmp_path, lines))) == PublishError.exit_code
        told = capsys.readouterr().err
        assert message in told
        assert "hint: " in told
    assert gather(index, "-r", str(tmp_path / "gone.txt")) == PublishError.exit_code
    assert "gone.txt: cannot be read: No such file or directory" in capsys.readouterr().err


def coverage_page(ledger: Ledger) -> str:
    return plain(dict(site_pages(ledger))["coverage/index.html"])


def test_build_counts_only_in_the_needed_version(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.add(release(f"local-2.0+cpu-{RISCV}.whl"))
    ledger.add(release("any-1.0-py3-none-manylinux_2_38_riscv64.whl"))
    names = ("alpha", "1.10"), ("alpha", "1.10.0"), ("alpha", "2.0"), ("local", "2.0"), ("any", "1.0")
    make_coverage(ledger, [pin(*name, MISSING, MISSING) for name in names])
    page = coverage_page(ledger)
    assert "alpha 1.10 built here missing" in page
    assert "alpha 1.10.0 built here missing" in page
    assert "alpha 2.0 here in another version 1.10, not 2.0 missing PyPI has only the source" in page
    assert "local 2.0 built here missing" in page
    assert "any 1.0 built here built here, not checked installs, but not checked on Python 3.14" in page
    assert (
        "Python 3.13: 4 of 5 packages install without a compiler (built here). 1 does not (here in another version)."
        in page
    )
    assert (
        "Python 3.14: 1 of 5 packages install without a compiler (built here, not checked). 4 do not (missing)." in page
    )


def test_repacked_package_is_marked_in_coverage(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    write_report(ledger.folder, "alpha", report(ALPHA_NEXT, build=build(repacked_from="Debian's python3-alpha 1.10-2")))
    make_coverage(ledger, [pin("alpha", "1.10", MISSING)])
    assert "alpha 1.10 built here repacked from a distribution&#39;s packages" in coverage_page(ledger)


def test_yanked_build_does_not_count_in_coverage(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    ledger.update([release(ALPHA_NEXT, yanked="wrong")])
    make_coverage(ledger, [pin("alpha", "1.10", MISSING)])
    assert "alpha 1.10 here in another version 1.0, not 1.10" in coverage_page(ledger)


def test_upstream_wheel_comes_before_own_build(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    make_coverage(ledger, [pin("alpha", "1.10", UPSTREAM, PURE), pin("plain-text", "2.0", MISSING)])
    page = coverage_page(ledger)
    assert "alpha 1.10 riscv64 on PyPI built here too pure Python" in page
    assert "plain-text 2.0 pure Python not needed" in page  # PyPI's own file, which the index has since


def test_missing_package_has_the_reason(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path, [FAILURE, replace(FAILURE, name="alpha", version="2.0", stage="audit")])
    pins = [pin("broken", "0.1", MISSING), pin("broken", "1", MISSING), pin("alpha", "2", MISSING)]
    make_coverage(ledger, [*pins, pin("nowhere", "1", MISSING), pin("wheels-only", "1", MISSING, source=False)])
    page = coverage_page(ledger)
    assert "broken 0.1 build failed our build failed at stage build" in page
    assert "broken 1 build failed our build of 0.1 failed at stage build" in page
    assert "alpha 2 build failed our build failed at stage audit" in page
    assert "nowhere 1 missing PyPI has only the source, and this index has no wheel of it" in page
    assert "wheels-only 1 missing PyPI has neither the source nor a riscv64 wheel" in page


def test_front_page_search_has_absent_packages_of_stacks(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    make_coverage(ledger, [pin("alpha", "2.0", MISSING), pin("nowhere", "1", PURE, PURE), pin("x", "2", MISSING)])
    front = dict(site_pages(ledger))["index.html"].partition('<ul id="absent">')[2].partition("</ul>")[0]
    assert 'data-name="nowhere" hidden><a href="coverage/index.html#stack-1">nowhere</a>' in front
    assert ">1: pure Python<" in front
    assert ">2: missing<" in front
    assert "alpha" not in front


def test_damaged_coverage_error_names_file_and_command(tmp_path: Path) -> None:
    ledger = make_ledger(tmp_path)
    make_coverage(ledger, [pin("alpha", "1", "unheard of")])
    unknown = (ledger.folder.parent / "coverage.json").read_text()
    for content in ("{", "[]", '{"stacks": 3}', '{"stacks": [{"name": 1}]}', unknown):
        (ledger.folder.parent / "coverage.json").write_text(content)
        with pytest.raises(PublishError, match=r"coverage\.json: file is damaged") as caught:
            load_coverage(ledger.folder.parent)
        assert caught.value.hint == "write it again: factory coverage"
