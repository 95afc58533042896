"""Activations, norms, rotary positions, int4 products, experts and MLA against 64-bit floats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch.nn import functional

from checks.comparison import KINDS, LIMITS, ROUNDING_MODES, Inputs, Report, ratio_of, require, rounding

ROWS = 7
EPSILON = 1e-6
# What an 8-bit activation costs, as a part of a row's largest result.
INT8_LIMIT = 0.02
# Inputs of a layer with one scale for each column. They are positive: sums with its weights, numbers from 0 to 15, are
# far above sums with their differences from the zero point.
ONE_GROUP = 6400
# vLLM's numbers for layouts of packed weights, and the packed columns of an int32 in AWQ's order.
AWQ, GPTQ = 0, 1
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
Operator = Callable[[torch.dtype, Inputs], Iterator[tuple[str, torch.Tensor, torch.Tensor]]]
Compared = Iterator[tuple[str, torch.Tensor, torch.Tensor]]


def _gelu_tanh(values: torch.Tensor) -> torch.Tensor:
    return functional.gelu(values, approximate="tanh")


GATED: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "silu_and_mul": functional.silu,
    "gelu_and_mul": functional.gelu,
    "gelu_tanh_and_mul": _gelu_tanh,
}
PLAIN: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_tanh": _gelu_tanh,
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_quick": lambda values: values * torch.sigmoid(1.702 * values),
}


def activations(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare activations, with values far from zero too."""
    for width in (16, 48, 512):
        values = inputs.normal(ROWS, 2 * width, kind=kind, scale=4.0)
        for name, function in GATED.items():
            output = torch.empty(ROWS, width, dtype=kind)
            getattr(torch.ops._C, name)(output, values)
            gate, up = values.double().chunk(2, dim=-1)
            yield f"{name} {width}", output, function(gate) * up
        for name, function in PLAIN.items():
            output = torch.empty_like(values)
            getattr(torch.ops._C, name)(output, values)
            yield f"{name} {2 * width}", output, function(values.double())


def norms(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare RMS norms, with and without weights and a residual."""
    for width in (16, 64, 576):
        values, residual = (inputs.normal(ROWS, width, kind=kind) for _ in range(2))
        for weight in (inputs.normal(width, kind=kind), None):
            label = f"{width}" + (" without weight" if weight is None else "")
            output = torch.empty_like(values)
            torch.ops._C.rms_norm(output, values, weight, EPSILON)
            yield f"rms_norm {label}", output, exact_norm(values.double(), weight)
            output, total = values.clone(), residual.clone()
            torch.ops._C.fused_add_rms_norm(output, total, weight, EPSILON)
            exact = values.double() + residual.double()
            yield f"fused_add_rms_norm {label}: residual", total, exact
            yield f"fused_add_rms_norm {label}", output, exact_norm(exact, weight)


def exact_norm(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the RMS norm of rows in 64-bit floats."""
    normed = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + EPSILON)
    return normed if weight is None else normed * weight.double()


def rotary(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare rotary positions in both layouts, of whole and of partial heads."""
    for head, rotated in ((64, 64), (80, 32), (48, 12)):
        for neox in (True, False):
            angles = torch.outer(torch.arange(40.0), 10000.0 ** -(torch.arange(0, rotated, 2) / rotated))
            cache = torch.cat((angles.cos(), angles.sin()), dim=-1).to(kind)
            positions = inputs.integers(0, 40, ROWS)
            for heads, name in ((4, "query"), (2, "key")):
                states = inputs.normal(ROWS, heads * head, kind=kind)
                exact = exact_rotary(states.double().view(ROWS, heads, head), cache.double()[positions], rotated, neox)
                other = inputs.normal(ROWS, head, kind=kind)
                query, key = (states, other) if name == "query" else (other, states)
                torch.ops._C.rotary_embedding(positions, query, key, head, cache, neox)
                yield f"rotary_embedding {head}/{rotated} {name}, neox {neox}", states, exact.flatten(1)


def exact_rotary(states: torch.Tensor, cache: torch.Tensor, rotated: int, neox: bool) -> torch.Tensor:
    """Return heads with their first `rotated` elements turned, in 64-bit floats."""
    cosine, sine = (each[:, None, :] for each in cache.chunk(2, dim=-1))
    result, half = states.clone(), rotated // 2
    first, second = (slice(0, half), slice(half, rotated)) if neox else (slice(0, rotated, 2), slice(1, rotated, 2))
    result[..., first] = states[..., first] * cosine - states[..., second] * sine
    result[..., second] = states[..., second] * cosine + states[..., first] * sine
    return result


def int4_products(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare products with int4 weights and 16-bit activations, where the module has them."""
    if kind == torch.float32 or not hasattr(torch.ops._C, "cpu_gemm_wna16"):
        return
    for rows, depth, width, group in (
        (1, 128, 64, 32),
        (8, 256, 96, 128),
        (19, 64, 32, 64),
        (2, ONE_GROUP, 32, ONE_GROUP),
    ):
        for with_zeros, with_bias in ((False, True), (True, False)):
            weights = inputs.integers(0, 16, depth, width)
            scales = inputs.normal(depth // group, width, kind=kind, scale=0.05)
            zeros = inputs.integers(0, 16, depth // group, width)
            bias = inputs.normal(width, kind=kind) if with_bias else None
            values = inputs.normal(rows, depth, kind=kind)
            values = values.abs() if group == ONE_GROUP else values
            blocks = _packed(weights).view(depth, -1, 2).permute(1, 0, 2).reshape(width // 16, -1).contiguous()
            packed_zeros = _packed(zeros) if with_zeros else None
            shifted = weights - (zeros.repeat_interleave(group, dim=0) if with_zeros else 8)
            # Kernels may round the product of a weight and its scale to the type of the activations.
            exact = values.double() @ (shifted * scales.double().repeat_interleave(group, dim=0))
            exact = exact if bias is None else exact + bias.double()
            label = f"{rows}x{depth}x{width}, group {group}" + ", zeros" * with_zeros + ", bias" * with_bias
            for isa in int4_isas():
                packed = torch.ops._C.cpu_prepack_wna16_weight(blocks, scales) if isa == "rvv_packed" else blocks
                output = torch.empty(rows, width, dtype=kind)
                torch.ops._C.cpu_gemm_wna16(values, packed, output, scales, packed_zeros, bias, 8, isa)
                yield f"cpu_gemm_wna16 {label}, {isa}", output, exact


def int4_isas() -> Sequence[str]:
    """Return the implementations of int4 products in the module."""
    return ("vec", "rvv", "rvv_packed") if hasattr(torch.ops._C, "cpu_prepack_wna16_weight") else ("vec",)


def _packed(values: torch.Tensor) -> torch.Tensor:
    """Pack eight columns into an int32, the first one lowest."""
    shifted = values.long().view(values.shape[0], -1, 8) << torch.arange(0, 32, 4)
    return shifted.sum(-1).to(torch.int32)


def int4_by_int8(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare products with int4 weights and activations that the kernel rounds to 8 bits."""
    if kind != torch.bfloat16 or not hasattr(torch.ops._C, "int4_scaled_mm_cpu"):
        return
    for rows, depth, width, group in ((1, 256, 64, 128), (8, 256, 128, 128), (33, 128, 64, 128), (5, 384, 64, 192)):
        weights, zeros = inputs.integers(0, 16, depth, width), inputs.integers(4, 12, depth // group, width)
        scales = inputs.normal(depth // group, width, kind=kind, scale=0.05).abs() + 0.01
        values = inputs.normal(rows, depth, kind=kind)
        output = torch.ops._C.int4_scaled_mm_cpu(values, *int4_blocks(weights, zeros, scales), None)
        dense = (weights - zeros.repeat_interleave(group, dim=0)) * scales.double().repeat_interleave(group, dim=0)
        yield f"int4_scaled_mm_cpu {rows}x{depth}x{width}", output, values.double() @ dense


def int4_blocks(weights: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return weights, zero points and scales in the kernel's blocks."""
    ordered = (each.view(each.shape[0], -1, 8)[:, :, AWQ_ORDER].flatten(1) for each in (weights, zeros))
    return torch.ops._C.convert_weight_packed_scale_zp(*map(_packed, ordered), scales, AWQ)


def linear(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare linear layers, with and without a bias and packed weights, where the module has them."""
    if kind == torch.float32 or not hasattr(torch.ops._C, "rvv_linear"):
        return
    for rows, depth, width in ((1, 64, 96), (3, 33, 17), (8, 256, 64), (40, 100, 130)):
        values, weight = inputs.normal(rows, depth, kind=kind), inputs.normal(width, depth, kind=kind)
        packed = torch.ops._C.rvv_pack_linear_weight(weight)
        for bias in (None, inputs.normal(width, kind=kind)):
            exact = functional.linear(values.double(), weight.double(), None if bias is None else bias.double())
            for chosen, is_packed in ((weight, False), (packed, True)):
                output = torch.empty(rows, width, dtype=kind)
                torch.ops._C.rvv_linear(output, values, chosen, bias, is_packed)
                label = f"{rows}x{depth}x{width}" + ", bias" * (bias is not None) + ", packed" * is_packed
                yield f"rvv_linear {label}", output, exact


def experts(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare fused experts with gated SiLU."""
    count, hidden, inner, chosen = 4, 64, 96, 2
    for rows in (1, 9):
        values = inputs.normal(rows, hidden, kind=kind, scale=0.5)
        gates = inputs.normal(count, 2 * inner, hidden, kind=kind, scale=hidden**-0.5)
        outputs = inputs.normal(count, hidden, inner, kind=kind, scale=inner**-0.5)
        weights, numbers = torch.topk(torch.softmax(inputs.normal(rows, count), dim=-1), chosen)
        exact = exact_experts(values, gates, outputs, weights, numbers)
        for isa in experts_isas():
            packed = [torch.empty_like(each) for each in (gates, outputs)]
            for source, target in zip((gates, outputs), packed, strict=True):
                torch.ops._C.prepack_moe_weight(source, target, isa)
            result = torch.empty_like(values)
            torch.ops._C.cpu_fused_moe(result, values, *packed, None, None, weights, numbers.int(), False, "silu", isa)
            yield f"cpu_fused_moe {rows}, {isa}", result, exact


def experts_isas() -> Sequence[str]:
    """Return the implementations of experts in the module."""
    return ("vec", "rvv") if hasattr(torch.ops._C, "rvv_linear") else ("vec",)


def exact_experts(
    values: torch.Tensor, gates: torch.Tensor, outputs: torch.Tensor, weights: torch.Tensor, numbers: torch.Tensor
) -> torch.Tensor:
    """Return the sum of gated experts, each by its weight, in 64-bit floats."""
    result = torch.zeros(values.shape, dtype=torch.float64)
    for row in range(len(values)):
        for weight, number in zip(weights[row].double(), numbers[row], strict=True):
            gate, up = (gates[number].double() @ values[row].double()).chunk(2)
            result[row] += weight * (outputs[number].double() @ (functional.silu(gate) * up))
    return result


def mla(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare decoding with latent attention: values are the first part of the keys."""
    heads, head, value, block = 16, 576, 512, 16
    lengths = torch.tensor([1, 17, 200], dtype=torch.int32)
    blocks = -(-int(lengths.max()) // block)
    table = inputs.permutation(len(lengths) * blocks).view(len(lengths), blocks).int()
    cache = inputs.normal(len(lengths) * blocks, block, head, kind=kind)
    query = inputs.normal(len(lengths), heads, head, kind=kind)
    output, scale = torch.empty(len(lengths), heads, value, dtype=kind), head**-0.5
    torch.ops._C.mla_decode_kvcache(output, query, cache, scale, table, lengths)
    for number, length in enumerate(lengths.tolist()):
        keys = cache[table[number].long()].view(-1, head)[:length].double()
        exact = torch.softmax(query[number].double() @ keys.T * scale, dim=-1) @ keys[:, :value]
        yield f"mla_decode_kvcache {length}", output[number], exact


OPERATORS: Mapping[str, Operator] = {
    "activations": activations,
    "norms": norms,
    "rotary": rotary,
    "int4": int4_products,
    "int4 by int8": int4_by_int8,
    "linear": linear,
    "experts": experts,
    "MLA": mla,
}
# Experts and int4 products round in between to the type of the activations.
INTERMEDIATE = {"experts": 3.0, "int4": 2.0}


def check(name: str, kind: str, mode: str, report: Report) -> None:
    """Compare all results of an operator in one type and rounding mode.

    Raises:
        Mismatch: one differs by more than its limit.
    """
    threads, dtype = torch.get_num_threads(), KINDS[kind]
    limit = INT8_LIMIT if name == "int4 by int8" else LIMITS[dtype] * INTERMEDIATE.get(name, 1.0)
    if mode != "nearest":
        torch.set_num_threads(1)  # other threads round to nearest
    results = OPERATORS[name](dtype, Inputs(len(name)))
    try:
        while True:
            with rounding(mode):
                result = next(results, None)
            if result is None:
                return
            label, found, exact = result
            require(report, f"{label}, {kind}, rounding {mode}", ratio_of(found, exact, limit))
    finally:
        torch.set_num_threads(threads)


def cases(*, all_modes: bool) -> Iterator[tuple[str, str, str]]:
    """Return operators, types and rounding modes."""
    for name in OPERATORS:
        for kind in KINDS:
            yield name, kind, "nearest"
    for mode in list(ROUNDING_MODES)[1:] if all_modes else ["down"]:
        for name in OPERATORS:
            for kind in KINDS if all_modes else ["bf16"]:
                yield name, kind, mode
