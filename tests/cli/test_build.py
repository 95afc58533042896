"""`factory build` of a plan's group, and the table of its results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory.cli.commands import build
from factory.cli.parser import parse_arguments
from factory.cli.summary_table import escape, markdown, markdown_table
from factory.errors import BuildFailed, PublishError, StoreError, TimeLimitReached
from factory.model.build_plan import BuildPlan, PlannedBuild, PlannedGroup
from factory.model.job import Job, JobId
from factory.model.record import BuildRecord
from factory.pipeline.build import Results
from factory.pipeline.scheduler import Outcome
from factory.store.store import Store
from factory.util.jsonio import save
from tests.support.jobs import metadata
from tests.support.markup import MARKUP
from tests.support.recipes import recipe_named
from tests.support.records import record

GROUP = PlannedGroup(
    id="1-1", builds=(PlannedBuild(name="demo", version="1.0", python="3.13", reason="patch 0001 is new"),), minutes=5
)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["demo", "--all"],
        ["demo", "--plan", "plan.json", "--group", "1-1"],
        ["--group", "1-1"],
        ["--plan", "plan.json"],
    ],
)
def test_build_takes_names_or_a_group(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.run(parse_arguments(["build", *arguments]))
    assert "either names of recipes, or --all, or --plan FILE and --group ID" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--scheduler", "x"], ["--exchange", "x"]])
def test_fleet_needs_scheduler_and_exchange(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.run(parse_arguments(["build", "demo", *options]))
    assert "give --scheduler ADDRESS and --exchange URL together" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--recipes=2", "--jobs=1", "--toolchain=gcc", "--substitute=x", "--keep"])
def test_option_that_workers_do_not_get_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.run(parse_arguments(["build", "demo", "--scheduler", "x", "--exchange", "x", option]))
    shown = capsys.readouterr().err
    assert f"argument {option.partition('=')[0]}: not allowed with argument --scheduler" in shown


def test_configured_substitute_is_taken_unless_refused(tmp_path: Path) -> None:
    """Without signers it is an error, since nobody would be trusted."""
    for name in ("recipes", "index"):
        (tmp_path / name).mkdir()
    (tmp_path / "index/site.toml").write_text('substitute = "https://wheels.example"\n')
    options = ["build", "demo", "--project", str(tmp_path)]
    with pytest.raises(PublishError, match=r"no \[\[signers\]\]"):
        build._substitutes(parse_arguments(options))
    assert build._substitutes(parse_arguments([*options, "--no-substitute"])) is None
    assert build._substitutes(parse_arguments([*options, "--scheduler", "x", "--exchange", "x"])) is None


def test_unknown_group_names_those_of_the_plan(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="file not found"):
        build.find_group(tmp_path / "plan.json", "1-1")
    save(tmp_path / "plan.json", BuildPlan(waves=((GROUP,),)))
    assert build.find_group(tmp_path / "plan.json", "1-1") == GROUP
    with pytest.raises(StoreError, match="no group '2-1'") as caught:
        build.find_group(tmp_path / "plan.json", "2-1")
    assert caught.value.hint == "its groups: 1-1"


def jobs(*names: str) -> dict[JobId, Job]:
    made = [Job(recipe=recipe_named(name), metadata=metadata()) for name in names]
    return {job.id: job for job in made}


def test_summary_has_a_row_for_each_job(tmp_path: Path) -> None:
    done, failed, cut, skipped = found = jobs("demo", "broken", "long", "after")
    wheel = replace(record(), wheel="demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl", wheel_sha256="a" * 64)
    store = Store(tmp_path)
    store.wheel_path(wheel).parent.mkdir(parents=True)
    store.wheel_path(wheel).write_bytes(b"0" * 120_000)
    outcome: Outcome[JobId, BuildRecord] = Outcome(
        done={done: wheel},
        failed={failed: BuildFailed("broken 1.0: no | @owner"), cut: TimeLimitReached(finished=("source",))},
        skipped={skipped: [failed]},
    )
    table = markdown_table(Results(jobs=found, outcome=outcome), None, store)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert {len(row) for row in rows} == {8}
    assert rows[2][:3] + rows[2][4:] == ["demo", "1.0", "3.13", "rv64gc", "0 s", "0.12 MB", ""]
    assert rows[3][-1] == "<code>failed&#58; broken 1.0&#58; no &#124; &#64;owner</code>"
    assert "interrupted, finished&#58; source" in rows[4][-1]
    assert rows[5][-1] == "not started, needs broken 1.0"


def test_summary_of_group_has_its_reasons_only(tmp_path: Path) -> None:
    found = jobs("numpy", "demo")
    outcome: Outcome[JobId, BuildRecord] = Outcome(failed={each: BuildFailed("no") for each in found})
    table = markdown_table(Results(jobs=found, outcome=outcome), GROUP, Store(tmp_path))
    assert [line.split(" ")[1] for line in table.splitlines()[2:]] == ["demo"]


@pytest.mark.parametrize("text", [*MARKUP, "| a | b |", "[a](http://b)", "`x`", "@owner", "# 1\n# 2", "::error::x"])
def test_cell_shows_hostile_text_as_text(text: str) -> None:
    cell = escape(text)
    assert len(cell.splitlines()) == 1
    shown = cell.removeprefix("<code>").removesuffix("</code>")
    assert not set(shown) & set("<>|[]`@*_!\\\"'(){}$~")
    assert all(part[:1].isdigit() for part in shown.split("&#")[1:])
    assert markdown(("a",), [(text,)]).count("\n") == 2
