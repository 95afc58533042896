"""Charts: SVG files that say what was measured, and are the same for the same values."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from factory.bench.plots import draw, require_plots, write_svg
from factory.bench.results import BarChart
from factory.errors import FactoryError, PrerequisiteMissing

CHART = BarChart(
    title="tokens per second",
    axis="tokens/s",
    groups=("rv64gc", "k1"),
    series={"prompt": (3.5, 1.25), "generation": (2.0, None)},
    notes="two threads",
)


def texts(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("stacked", [False, True])
def test_a_chart_names_everything_that_it_shows(stacked: bool) -> None:
    shown = texts(draw(replace(CHART, stacked=stacked)))
    for text in ("tokens per second", "tokens/s", "rv64gc", "k1", "prompt", "generation", "two threads"):
        assert text in shown


def test_the_same_values_give_the_same_bytes_and_others_do_not() -> None:
    assert draw(CHART) == draw(CHART)
    assert draw(CHART) != draw(replace(CHART, series={"prompt": (3.5, 1.5), "generation": (2.0, None)}))


def test_stacked_bars_reach_as_high_as_their_sum() -> None:
    stacked = replace(CHART, stacked=True, series={"a": (1000.0,), "b": (1000.0,)}, groups=("one",))
    assert {"0", "2000"} <= set(texts(draw(stacked)))


def test_a_chart_holds_no_date_and_no_version_of_the_program_that_drew_it() -> None:
    assert b"dc:date" not in draw(CHART)
    assert b"Matplotlib v" not in draw(CHART)


def test_a_chart_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "x.svg").write_text("old")
    write_svg(CHART, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_bytes() == draw(CHART)
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_a_chart_that_could_not_be_written_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match=r"x\.png: charts are SVG files\n  hint: --plot .*x\.svg"):
        require_plots(tmp_path / "x.png")
    with pytest.raises(FactoryError, match=r"missing/x\.svg: cannot write"):
        require_plots(tmp_path / "missing/x.svg")
    require_plots(tmp_path / "x.svg")


def test_without_matplotlib_the_hint_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PrerequisiteMissing, match=r"pip install 'riscv64-wheel-factory\[bench\]'"):
        require_plots(tmp_path / "x.svg")
