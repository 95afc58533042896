"""Operators on slices: rows with a stride, heads apart, and results that have no one stride and are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from checks.comparison import KINDS, Inputs, Report, ratio_of, require, require_refused
from checks.operators import EPSILON, GATED, PLAIN, exact_norm, exact_rotary

ROWS, WIDTH, SEED = 5, 64, 41
HEADS, HEAD = 4, 64
Compared = Iterator[tuple[str, torch.Tensor, torch.Tensor]]


def check(kind: str, report: Report) -> None:
    """Check that each layout is computed right or refused.

    Raises:
        Mismatch: a result differs, or a layout that cannot be written is accepted.
    """
    dtype, inputs = KINDS[kind], Inputs(SEED)
    for compare in (activations, norms, joined_norms, rotary, linear):
        for name, found, exact in compare(dtype, inputs):
            require(report, f"{name}, {kind}", ratio_of(found, exact))
    for name, call in refused(dtype, inputs):
        require_refused(name, call)
        report.add(f"{name}, {kind}", 0.0)


def slices(kind: torch.dtype, inputs: Inputs, width: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Return rows of one stride, and columns that do not follow each other."""
    yield "slice", inputs.normal(ROWS, width + 16, kind=kind)[:, 8 : width + 8]
    yield "transposed", inputs.normal(width, ROWS, kind=kind).t()


def activations(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare activations of slices, written to slices."""
    for name, function in {**GATED, **PLAIN}.items():
        gated = name in GATED
        for layout, values in slices(kind, inputs, WIDTH * (2 if gated else 1)):
            output = torch.full((ROWS, WIDTH + 8), float("nan"), dtype=kind)[:, :WIDTH]
            getattr(torch.ops._C, name)(output, values)
            if gated:
                gate, up = values.double().chunk(2, dim=-1)
                exact = function(gate) * up
            else:
                exact = function(values.double())
            yield f"{name} of a {layout}", output, exact


def norms(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare RMS norms of slices; those with a residual work in place."""
    weight = inputs.normal(WIDTH, kind=kind)
    for layout, values in slices(kind, inputs, WIDTH):
        output = torch.empty(ROWS, WIDTH, dtype=kind)
        torch.ops._C.rms_norm(output, values, weight, EPSILON)
        yield f"rms_norm of a {layout}", output, exact_norm(values.double(), weight)
    values = inputs.normal(ROWS, WIDTH + 8, kind=kind)[:, :WIDTH]
    residual = inputs.normal(ROWS, WIDTH + 16, kind=kind)[:, 16:]
    exact = values.double() + residual.double()
    torch.ops._C.fused_add_rms_norm(values, residual, weight, EPSILON)
    yield "fused_add_rms_norm of slices: residual", residual, exact
    yield "fused_add_rms_norm of slices", values, exact_norm(exact, weight)


def joined_norms(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare the norm of each head of a joined projection, as Qwen3 has it."""
    joined = inputs.normal(ROWS, 3 * HEADS * HEAD, kind=kind)
    query = joined[:, : HEADS * HEAD].view(ROWS, HEADS, HEAD)
    weight = inputs.normal(HEAD, kind=kind)
    output = torch.empty(ROWS, HEADS, HEAD, dtype=kind)
    torch.ops._C.rms_norm(output, query, weight, EPSILON)
    yield "rms_norm of heads", output, exact_norm(query.double(), weight)


def rotary(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare rotary positions of parts of a joined projection, with heads in one dimension or apart."""
    angles = torch.outer(torch.arange(40.0), 10000.0 ** -(torch.arange(0, HEAD, 2) / HEAD))
    cache = torch.cat((angles.cos(), angles.sin()), dim=-1).to(kind)
    positions = inputs.integers(0, 40, ROWS)
    for neox in (True, False):
        joined = inputs.normal(ROWS, 3 * HEADS * HEAD, kind=kind)
        apart = inputs.normal(ROWS, HEADS, HEAD + 8, kind=kind)[..., :HEAD]
        batches = inputs.normal(1, ROWS, HEADS, HEAD + 8, kind=kind)[..., :HEAD]
        for layout, states in (("a slice", joined[:, HEAD : HEAD * 3]), ("heads", apart), ("batches", batches)):
            heads = states.double().reshape(ROWS, -1, HEAD)
            exact = exact_rotary(heads, cache.double()[positions], HEAD, neox)
            key, places = states.clone(), positions.view(states.shape[: max(1, states.dim() - 2)])
            torch.ops._C.rotary_embedding(places, states, key, HEAD, cache, neox)
            yield f"rotary_embedding of {layout}, neox {neox}", states.reshape(ROWS, -1), exact.flatten(1)
            yield f"rotary_embedding of {layout}, neox {neox}: key", key.reshape(ROWS, -1), exact.flatten(1)


def linear(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare a linear layer of one input whose rows come from a column, where the module has it."""
    if kind == torch.float32 or not hasattr(torch.ops._C, "rvv_linear"):
        return
    values, weight = inputs.normal(1, ROWS, kind=kind).t(), inputs.normal(WIDTH, 1, kind=kind)
    output = torch.empty(ROWS, WIDTH, dtype=kind)
    torch.ops._C.rvv_linear(output, values, weight, None, False)
    yield "rvv_linear of a column", output, values.double() @ weight.double().t()


def refused(kind: torch.dtype, inputs: Inputs) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return calls whose results cannot be written where they belong."""
    values = inputs.normal(ROWS, WIDTH, kind=kind)
    columns = torch.empty(WIDTH, ROWS, dtype=kind).t()
    blocks = torch.empty(ROWS, 3, WIDTH, dtype=kind)[:, :2]
    doubled = inputs.normal(ROWS, 2, WIDTH, kind=kind)
    operators = torch.ops._C
    yield "rms_norm to columns", lambda: operators.rms_norm(columns, values, None, EPSILON)
    yield "rms_norm to blocks", lambda: operators.rms_norm(blocks, doubled, None, EPSILON)
    yield "rms_norm to a smaller result", lambda: operators.rms_norm(values[:2], values, None, EPSILON)
    yield "fused_add_rms_norm of columns", lambda: operators.fused_add_rms_norm(columns, values, None, EPSILON)
    yield "fused_add_rms_norm to columns", lambda: operators.fused_add_rms_norm(values, columns, None, EPSILON)
    yield "gelu_new to columns", lambda: operators.gelu_new(columns, values)
    yield "silu_and_mul to a larger result", lambda: operators.silu_and_mul(values, values)
