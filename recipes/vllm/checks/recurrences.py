"""Mamba's recurrences and sampling against 64-bit floats and exact results."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from checks.comparison import KINDS, Inputs, Mismatch, Report, ratio_of, require

SEED = 5
STATE_LIMIT = 3.0  # states are stored in the type of the inputs after each step
DRAWS = 20_000
PAD = -1
NO_BLOCK = -1


def convolution(kind: str, report: Report) -> None:
    """Check a step of the causal convolution: result and new state."""
    inputs, dtype = Inputs(SEED), KINDS[kind]
    rows, width, taps = 3, 40, 4
    values, weight = inputs.normal(rows, width, kind=dtype), inputs.normal(width, taps, kind=dtype)
    bias, state = inputs.normal(width), inputs.normal(5, width, taps - 1, kind=dtype)
    places = torch.tensor([4, 0, 2], dtype=torch.int32)
    window = torch.cat((state[places.long()], values[:, :, None]), dim=-1)
    exact = functional.silu((window.double() * weight.double()).sum(-1) + bias.double())
    found = torch.ops._C.causal_conv1d_update_cpu_vec(values, state, weight, bias, "silu", places, None, PAD)
    require(report, f"causal_conv1d_update, {kind}", ratio_of(found, exact))
    if not torch.equal(state[places.long()], window[..., 1:]):
        raise Mismatch("causal_conv1d_update: the state is not shifted by one step")


def state_update(kind: str, report: Report) -> None:
    """Check a step of the selective state: result and new state."""
    inputs, dtype = Inputs(SEED), KINDS[kind]
    rows, heads, width, size, groups = 3, 4, 8, 21, 2
    values, gate = (inputs.normal(rows, heads, width, kind=dtype) for _ in range(2))
    before, after = (inputs.normal(rows, groups, size, kind=dtype) for _ in range(2))
    step, decay = inputs.normal(rows, heads), -inputs.normal(heads).exp()
    skip, shift = inputs.normal(heads), inputs.normal(heads)
    state, output = inputs.normal(rows, heads, width, size, kind=dtype), torch.empty_like(values)
    old = state.double()
    torch.ops._C.selective_state_update_cpu(
        state,
        values,
        step[:, :, None].expand(-1, -1, width),
        decay[:, None, None].expand(-1, width, size),
        before,
        after,
        skip[:, None].expand(-1, width),
        gate,
        shift[:, None].expand(-1, width),
        True,
        None,
        None,
        NO_BLOCK,
        output,
        None,
        None,
    )
    times = functional.softplus(step.double() + shift.double())
    added, read = (each.double().repeat_interleave(heads // groups, dim=1) for each in (before, after))
    kept = old * torch.exp(decay.double() * times)[..., None, None]
    new = kept + (times[..., None] * values.double())[..., None] * added[:, :, None, :]
    exact = (new * read[:, :, None, :]).sum(-1) + skip.double()[:, None] * values.double()
    exact = exact * functional.silu(gate.double())
    require(report, f"selective_state_update, {kind}", ratio_of(output.flatten(1), exact.flatten(1)))
    require(report, f"selective_state_update, {kind}: state", ratio_of(state.flatten(1), new.flatten(1)))


def scan(kind: str, report: Report) -> None:
    """Check the scan of two sequences, with their final states."""
    inputs, dtype = Inputs(SEED), KINDS[kind]
    starts = torch.tensor([0, 5, 17], dtype=torch.int32)
    tokens, heads, width, size, groups = int(starts[-1]), 4, 8, 16, 2
    values, gate = (inputs.normal(tokens, heads, width, kind=dtype) for _ in range(2))
    before, after = (inputs.normal(tokens, groups, size, kind=dtype) for _ in range(2))
    times, decay, skip = inputs.normal(tokens, heads).abs(), -inputs.normal(heads).exp(), inputs.normal(heads)
    states, output = torch.zeros(2, heads, width, size), torch.empty_like(values)
    torch.ops._C.mamba_chunk_scan_fwd_cpu(output, states, values, times, decay, before, after, skip, gate, starts)
    added, read = (each.double().repeat_interleave(heads // groups, dim=1) for each in (before, after))
    for number in range(2):
        state = torch.zeros(heads, width, size, dtype=torch.float64)
        for token in range(int(starts[number]), int(starts[number + 1])):
            passed, value = times[token].double(), values[token].double()
            state = state * torch.exp(decay.double() * passed)[:, None, None]
            state = state + (passed[:, None] * value)[..., None] * added[token][:, None, :]
            exact = (state * read[token][:, None, :]).sum(-1) + skip.double()[:, None] * value
            exact = exact * functional.silu(gate[token].double())
            require(report, f"mamba_chunk_scan_fwd, {kind}: token {token}", ratio_of(output[token], exact))
        require(report, f"mamba_chunk_scan_fwd, {kind}: state {number}", ratio_of(states[number], state, 1e-4))


def greedy(kind: str, report: Report) -> None:
    """Check the largest logits, with ties, infinities and NaN."""
    if kind != "fp32":
        return
    inputs = Inputs(SEED)
    for vocabulary in (7, 64, 1003):
        logits = inputs.normal(5, vocabulary)
        logits[1] = logits[1].round()
        logits[2, vocabulary // 2] = float("nan")
        logits[3] = float("-inf")
        logits[4, -1] = float("inf")
        found, exact = torch.ops._C.greedy_argmax(logits), torch.tensor([_first_largest(row) for row in logits])
        if not torch.equal(found, exact):
            raise Mismatch(f"greedy_argmax of {vocabulary}: {found.tolist()}, expected {exact.tolist()}")
        report.add(f"greedy_argmax {vocabulary}", 0.0)


def _first_largest(row: torch.Tensor) -> int:
    wanted = row.isnan() if row.isnan().any() else row == row.max()
    return int(wanted.nonzero()[0])


def drawn(kind: str, report: Report) -> None:
    """Check that drawn tokens have the frequencies of the softmax, and that excluded ones are never drawn."""
    if kind != "fp32":
        return
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0, float("-inf"), 0.5, -2.0]])
    tokens = torch.ops._C.fused_gumbel_argmax(logits.expand(DRAWS, -1).contiguous(), torch.arange(DRAWS))
    chances = torch.softmax(logits.double()[0], dim=-1)
    frequencies = torch.bincount(tokens, minlength=len(chances)).double() / DRAWS
    # Five standard deviations.
    limits = 5 * (chances * (1 - chances) / DRAWS).sqrt()
    require(report, "fused_gumbel_argmax", ((frequencies - chances).abs() / limits.clamp_min(1e-12)).max().item())


CHECKS: Mapping[str, Callable[[str, Report], None]] = {
    "causal convolution": convolution,
    "selective state": state_update,
    "scan": scan,
    "greedy": greedy,
    "drawn": drawn,
}
