"""Tests of charts."""

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
def test_draw_has_all_labels(stacked: bool) -> None:
    shown = texts(draw(replace(CHART, stacked=stacked)))
    for text in ("tokens per second", "tokens/s", "rv64gc", "k1", "prompt", "generation", "two threads"):
        assert text in shown


def test_draw_is_deterministic() -> None:
    assert draw(CHART) == draw(CHART)
    assert draw(CHART) != draw(replace(CHART, series={"prompt": (3.5, 1.5), "generation": (2.0, None)}))


def test_draw_stacked_axis_reaches_sum() -> None:
    stacked = replace(CHART, stacked=True, series={"a": (1000.0,), "b": (1000.0,)}, groups=("one",))
    assert {"0", "2000"} <= set(texts(draw(stacked)))


def test_draw_has_no_date_and_no_version() -> None:
    assert b"dc:date" not in draw(CHART)
    assert b"Matplotlib v" not in draw(CHART)


def test_write_svg_replaces_older_file(tmp_path: Path) -> None:
    (tmp_path / "x.svg").write_text("old")
    write_svg(CHART, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_bytes() == draw(CHART)
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_require_plots_refuses_unwritable_path(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match=r"x\.png: charts are SVG files\n  hint: --plot .*x\.svg"):
        require_plots(tmp_path / "x.png")
    with pytest.raises(FactoryError, match=r"missing/x\.svg: cannot write"):
        require_plots(tmp_path / "missing/x.svg")
    require_plots(tmp_path / "x.svg")


def test_require_plots_without_matplotlib_names_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PrerequisiteMissing, match=r"pip install 'riscv64-wheel-factory\[bench\]'"):
        require_plots(tmp_path / "x.svg")
