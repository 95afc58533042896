"""The table of `factory bench qemu`: rates, what was cut, and only those published figures that are known."""

from factory.bench.qemu.benchmark import Cell, Measured
from factory.bench.qemu.llama_completion import Counted, Request, Timings
from factory.bench.qemu.report import report

REQUEST = Request(prompt="hello", tokens=100, threads=2, seconds=90)


def measured(mode: str, model: str, *, backend: str = "riscv64_0", generated: int = 99) -> Measured:
    return Measured(
        cell=Cell(mode=mode, profile="rv64gc", model=model),
        request=REQUEST,
        timings=Timings(
            backend=backend,
            sampling=Counted(tokens=110, seconds=1.0),
            prompt=Counted(tokens=10, seconds=4.0),
            generation=Counted(tokens=generated, seconds=generated * 0.75),
        ),
        seconds=100.0,
        machine="2 x AMD EPYC",
        finished="2026-11-22T07:00:00+00:00",
    )


def test_a_row_has_the_rates_and_the_number_of_tokens() -> None:
    (row,) = report([measured("user", "Q8_0")]).rows
    assert row == ("user", "rv64gc", "riscv64_0", "Q8_0", "2", "110", "2.5", "1.333", "1.2415", "100")


def test_a_cell_that_was_cut_says_so() -> None:
    (row,) = report([measured("system", "Q8_0", generated=11)]).rows
    assert row[-1] == "12 of 100: cut after 90 s"


def test_a_cell_without_a_second_token_has_no_rate() -> None:
    (row,) = report([measured("system", "Q8_0", generated=0)]).rows
    assert row[-3] == "none"


def test_published_figures_are_given_as_far_as_they_are_known() -> None:
    cells = [
        measured("user", "Q2_K"),
        measured("user", "Q8_0", backend="riscv64_v"),
        measured("system", "Q2_K"),
        measured("user", "SmolLM2"),
    ]
    shown = [row[-2] for row in report(cells).rows]
    assert shown == ["not known", "0.4658 for one type", "0.0788 or 0.1806", "-"]


def test_the_output_says_that_weights_are_random_and_which_machine_measured() -> None:
    text = "\n".join(report([measured("user", "Q8_0")]).preface)
    assert "random weights" in text
    assert "This machine: 2 x AMD EPYC." in text


def test_the_chart_leaves_out_what_was_not_measured() -> None:
    chart = report([measured("user", "Q8_0"), measured("system", "SmolLM2")]).chart
    assert list(chart.groups) == ["user, rv64gc", "system, rv64gc"]
    assert chart.series["SmolLM2"][0] is None
