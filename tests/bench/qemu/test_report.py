"""Tests of the report of `factory bench qemu`."""

from factory.bench.qemu.benchmark import Cell, Measurement
from factory.bench.qemu.llama_completion import Request, Timings, TokenRate
from factory.bench.qemu.report import report

REQUEST = Request(prompt="hello", tokens=100, threads=2, seconds=90)


def measurement(mode: str, model: str, *, backend: str = "riscv64_0", generated: int = 99) -> Measurement:
    return Measurement(
        cell=Cell(mode=mode, profile="rv64gc", model=model),
        request=REQUEST,
        timings=Timings(
            backend=backend,
            sampling=TokenRate(tokens=110, seconds=1.0),
            prompt=TokenRate(tokens=10, seconds=4.0),
            generation=TokenRate(tokens=generated, seconds=generated * 0.75),
        ),
        seconds=100.0,
        machine="2 x AMD EPYC",
        finished="2026-11-22T07:00:00+00:00",
    )


def test_row_has_rates_and_number_of_tokens() -> None:
    (row,) = report([measurement("user", "Q8_0")]).rows
    assert row == ("user", "rv64gc", "riscv64_0", "Q8_0", "2", "110", "2.5", "1.333", "1.2415", "100")


def test_row_of_stopped_run_names_time_limit() -> None:
    (row,) = report([measurement("system", "Q8_0", generated=11)]).rows
    assert row[-1] == "12 of 100: stopped after 90 s"


def test_row_of_one_token_has_no_rate() -> None:
    (row,) = report([measurement("system", "Q8_0", generated=0)]).rows
    assert row[-3] == "none"


def test_row_has_known_published_figures() -> None:
    cells = [
        measurement("user", "Q2_K"),
        measurement("user", "Q8_0", backend="riscv64_v"),
        measurement("system", "Q2_K"),
        measurement("user", "SmolLM2"),
    ]
    shown = [row[-2] for row in report(cells).rows]
    assert shown == ["not known", "0.4658 for one type", "0.0788 or 0.1806", "-"]


def test_preface_names_random_weights_and_machine() -> None:
    text = "\n".join(report([measurement("user", "Q8_0")]).preface)
    assert "random weights" in text
    assert "This machine: 2 x AMD EPYC." in text


def test_chart_omits_unmeasured_cells() -> None:
    chart = report([measurement("user", "Q8_0"), measurement("system", "SmolLM2")]).chart
    assert list(chart.groups) == ["user, rv64gc", "system, rv64gc"]
    assert chart.series["SmolLM2"][0] is None
