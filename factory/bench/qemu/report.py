"""Report of `factory bench qemu`: a table with the published figures, and a chart."""

from __future__ import annotations

from collections.abc import Sequence

from factory.bench.qemu.benchmark import CONTROL, Measurement
from factory.bench.qemu.llama_completion import TokenRate
from factory.bench.results import BarChart, Results

PAPER = "LLM emulation for RISC-V with QEMU"
SCALAR = "riscv64_0"
PREFACE = (
    f'The best figure of "{PAPER}" is 1.2415 generated tokens per second, on a 6-core i5-10400. Its other figures',
    "do not say for which type of the model they are, nor which of the two figures in system mode had vectors.",
    "Q2_K and Q8_0: the exact shapes and types of DeepSeek-R1-Distill-Qwen-1.5B with random weights. The text is",
    f"noise, but the speed is the same. {CONTROL}: 135M, Q4_1, trained weights, a control that the paper lacks.",
)
HEADINGS = (
    *("mode", "profile", "CPU variant", "model", "threads"),
    *("sampling t/s", "prompt t/s", "generation t/s", "published", "tokens"),
)


def report(measurements: Sequence[Measurement]) -> Results:
    """Report one row per cell; rates are tokens per second."""
    machines = ", ".join(dict.fromkeys(each.machine for each in measurements))
    return Results(
        preface=(*PREFACE, f"This machine: {machines}."),
        headings=HEADINGS,
        rows=[_row(each) for each in measurements],
        data=tuple(measurements),
        chart=_chart(measurements, machines),
    )


def published(measurement: Measurement) -> str:
    """Return the paper's generated tokens per second for this cell, as far as known."""
    cell, scalar = measurement.cell, measurement.timings.backend == SCALAR
    if cell.model == CONTROL:
        return "-"
    if cell.mode == "system":
        return "0.0788 or 0.1806"
    if not scalar:
        return "0.4658 for one type"
    return "1.2415" if cell.model == "Q8_0" else "not known"


def _row(measurement: Measurement) -> tuple[str, ...]:
    cell, timings = measurement.cell, measurement.timings
    rates = (_rate(each) for each in (timings.sampling, timings.prompt, timings.generation))
    return (
        *(cell.mode, cell.profile, timings.backend, cell.model, str(measurement.request.threads)),
        *rates,
        published(measurement),
        _tokens(measurement),
    )


def _rate(rate: TokenRate) -> str:
    """Format a rate with four significant digits, as in the paper."""
    return "none" if rate.per_second is None else f"{rate.per_second:.4g}"


def _tokens(measurement: Measurement) -> str:
    """Describe the number of tokens; the first one is part of the prompt's time."""
    wanted, counted = measurement.request.tokens, measurement.timings.generation.tokens + 1
    return str(wanted) if counted >= wanted else f"{counted} of {wanted}: stopped after {measurement.request.seconds} s"


def _chart(measurements: Sequence[Measurement], machines: str) -> BarChart:
    rates = {(_group(each), each.cell.model): each.timings.generation.per_second for each in measurements}
    groups = list(dict.fromkeys(_group(each) for each in measurements))
    models = list(dict.fromkeys(each.cell.model for each in measurements))
    return BarChart(
        title="Text generation under QEMU",
        axis="tokens per second",
        groups=groups,
        series={model: [rates.get((group, model)) for group in groups] for model in models},
        notes=f"{machines}. Q2_K and Q8_0: 1.5B parameters with random weights; {CONTROL}: 135M",
    )


def _group(measurement: Measurement) -> str:
    return f"{measurement.cell.mode}, {measurement.cell.profile}"
