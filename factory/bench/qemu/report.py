"""What `factory bench qemu` shows: its table beside the published figures, and its chart."""

from __future__ import annotations

from collections.abc import Sequence

from factory.bench.qemu.benchmark import CONTROL, Measured
from factory.bench.qemu.llama_completion import Counted
from factory.bench.results import BarChart, Results

PAPER = "LLM emulation for RISC-V with QEMU"
SCALAR = "riscv64_0"
PREFACE = (
    f'"{PAPER}": its best are 1.2415 generated tokens per second, on a 6-core i5-10400. Of its other figures',
    "it isn't known here which type of the model they belong to, nor which of the two in system mode had vectors.",
    "Q2_K and Q8_0: DeepSeek-R1-Distill-Qwen-1.5B's exact shapes and types with random weights. The text is noise, but",
    f"speed doesn't depend on it. {CONTROL}: 135M, Q4_1, with trained weights, as a control that isn't the paper's.",
)
HEADINGS = (
    *("mode", "profile", "CPU variant", "model", "threads"),
    *("sampling t/s", "prompt t/s", "generation t/s", "published", "tokens"),
)


def report(measurements: Sequence[Measured]) -> Results:
    """A row a cell; rates are tokens per second."""
    machines = ", ".join(dict.fromkeys(each.machine for each in measurements))
    return Results(
        preface=(*PREFACE, f"This machine: {machines}."),
        headings=HEADINGS,
        rows=[_row(each) for each in measurements],
        data=tuple(measurements),
        chart=_chart(measurements, machines),
    )


def published(measured: Measured) -> str:
    """The paper's generated tokens per second for this cell, as far as they are known."""
    cell, scalar = measured.cell, measured.timings.backend == SCALAR
    if cell.model == CONTROL:
        return "-"
    if cell.mode == "system":
        return "0.0788 or 0.1806"
    if not scalar:
        return "0.4658 for one type"
    return "1.2415" if cell.model == "Q8_0" else "not known"


def _row(measured: Measured) -> tuple[str, ...]:
    cell, timings = measured.cell, measured.timings
    rates = (_rate(each) for each in (timings.sampling, timings.prompt, timings.generation))
    return (
        *(cell.mode, cell.profile, timings.backend, cell.model, str(measured.request.threads)),
        *rates,
        published(measured),
        _tokens(measured),
    )


def _rate(counted: Counted) -> str:
    """Four significant digits, as the paper has them."""
    return "none" if counted.rate is None else f"{counted.rate:.4g}"


def _tokens(measured: Measured) -> str:
    """How many were generated. The first of them comes out of the prompt's evaluation, and has no time of its own."""
    wanted, counted = measured.request.tokens, measured.timings.generation.tokens + 1
    return str(wanted) if counted >= wanted else f"{counted} of {wanted}: cut after {measured.request.seconds} s"


def _chart(measurements: Sequence[Measured], machines: str) -> BarChart:
    rates = {(_group(each), each.cell.model): each.timings.generation.rate for each in measurements}
    groups = list(dict.fromkeys(_group(each) for each in measurements))
    models = list(dict.fromkeys(each.cell.model for each in measurements))
    return BarChart(
        title="Text generation under QEMU",
        axis="tokens per second",
        groups=groups,
        series={model: [rates.get((group, model)) for group in groups] for model in models},
        notes=f"{machines}. Q2_K and Q8_0: 1.5B parameters with random weights; {CONTROL}: 135M",
    )


def _group(measured: Measured) -> str:
    return f"{measured.cell.mode}, {measured.cell.profile}"
