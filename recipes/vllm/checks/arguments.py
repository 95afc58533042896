"""Arguments at their limits: special values, tensors beyond 2^31 elements, slices, and what has to be refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from tempfile import NamedTemporaryFile

import torch

from checks.comparison import KINDS, Inputs, Mismatch, Report, ratio_of, require, require_refused
from checks.operators import (
    EPSILON,
    GATED,
    GPTQ,
    INTERMEDIATE,
    LIMITS,
    PLAIN,
    exact_experts,
    experts_isas,
    int4_blocks,
    int4_isas,
)

SEED, ROWS, WIDTH = 43, 3, 64
# Of latent attention: the sizes that the kernel is made for.
HEADS, HEAD, VALUE, BLOCK = 4, 576, 512, 16
# Of experts, and the weights of one.
EXPERTS, HIDDEN, INNER = 6, 64, 96
LARGE = 2**31
Compared = Iterator[tuple[str, torch.Tensor, torch.Tensor]]


def check(kind: str, report: Report) -> None:
    """Check that arguments are computed right, or refused.

    Raises:
        Mismatch: a result differs, or an argument that does not fit is accepted.
    """
    dtype, inputs = KINDS[kind], Inputs(SEED)
    for name, found, expected in special_values(dtype):
        if not torch.allclose(found, expected, LIMITS[dtype], torch.finfo(dtype).tiny, equal_nan=True):
            raise Mismatch(f"{name}, {kind}: {found.tolist()}, expected {expected.tolist()}")
        report.add(f"{name}, {kind}", 0.0)
    for compare, limit in ((latent, 1.0), (packed_weights, 1.0), (experts, INTERMEDIATE["experts"])):
        for name, found, exact in compare(dtype, inputs):
            require(report, f"{name}, {kind}", ratio_of(found, exact, limit * LIMITS[dtype]))
    for refuse in (refused, refused_experts, refused_int4, refused_int4_by_int8):
        for name, call in refuse(dtype, inputs):
            require_refused(name, call)
            report.add(f"{name}, {kind}", 0.0)


def special_values(kind: torch.dtype) -> Compared:
    """Compare activations of infinity, NaN, the largest and the smallest numbers with PyTorch's."""
    limits = torch.finfo(kind)
    ends = (math.inf, limits.max, 100.0, limits.smallest_normal, limits.smallest_normal * limits.eps, 0.0)
    values = torch.tensor([math.nan, 1.0, -88.0, -13.0, *ends, *(-each for each in ends)], dtype=kind)[None]
    for name, function in {**GATED, **PLAIN}.items():
        given = torch.cat((values, torch.ones_like(values)), dim=-1) if name in GATED else values
        output = torch.empty_like(values)
        getattr(torch.ops._C, name)(output, given)
        yield f"{name} of special values", output, function(values.double()).to(kind)


def latent(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare latent attention to a block behind 2^31 elements, and with a slice of a block table."""
    blocks = LARGE // (BLOCK * HEAD) + 2
    with NamedTemporaryFile() as file:
        cache = _sparse(file.name, kind, blocks, BLOCK, HEAD)
        cache[-1] = inputs.normal(BLOCK, HEAD, kind=kind)
        table = torch.tensor([[blocks - 1]], dtype=torch.int32)
        yield from _latent("in a large cache", cache, table, inputs)
    cache = inputs.normal(8, BLOCK, HEAD, kind=kind)
    yield from _latent("by a slice of a table", cache, inputs.permutation(8).int().view(2, 4)[:, :1], inputs)


def _latent(name: str, cache: torch.Tensor, table: torch.Tensor, inputs: Inputs) -> Compared:
    query, scale = inputs.normal(len(table), HEADS, HEAD, kind=cache.dtype), HEAD**-0.5
    output = torch.empty(len(table), HEADS, VALUE, dtype=cache.dtype)
    lengths = torch.full((len(table),), BLOCK, dtype=torch.int32)
    torch.ops._C.mla_decode_kvcache(output, query, cache, scale, table, lengths)
    keys = cache[table[:, 0].long()].double()
    exact = torch.softmax(query.double() @ keys.mT * scale, dim=-1) @ keys[..., :VALUE]
    yield f"mla_decode_kvcache {name}", output.flatten(1), exact.flatten(1)


def packed_weights(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare blocks of slices of weights and zero points to those of copies."""
    if kind != torch.bfloat16 or not hasattr(torch.ops._C, "int4_scaled_mm_cpu"):
        return
    depth, width, groups = 256, 64, 2
    weights = inputs.integers(0, 2**31, depth // 8, 2 * width).int()[:, ::2]
    zeros = inputs.integers(0, 2**31, groups, width // 4).int()[:, ::2]
    scales = inputs.normal(groups, width, kind=kind)
    convert = torch.ops._C.convert_weight_packed_scale_zp
    found = convert(weights, zeros, scales, GPTQ)
    expected = convert(weights.contiguous(), zeros.contiguous(), scales, GPTQ)
    for name, blocks, copied in zip(("weights", "zero points", "scales"), found, expected, strict=True):
        yield f"blocks of sliced {name}", blocks.flatten(1).float(), copied.flatten(1).double()


def experts(kind: torch.dtype, inputs: Inputs) -> Compared:
    """Compare experts with slices of inputs and choices, and one whose weights begin behind 2^31 others."""
    gates, outputs = _weights(kind, inputs)
    values = inputs.normal(ROWS, HIDDEN + 8, kind=kind, scale=0.5)[:, :HIDDEN]
    chances, numbers = (each[:, ::2] for each in torch.topk(torch.softmax(inputs.normal(ROWS, EXPERTS), -1), 4))
    exact = exact_experts(values, gates, outputs, chances, numbers)
    count = LARGE // (2 * INNER * HIDDEN) + 2
    for isa in experts_isas():
        packed = _packed(gates, isa), _packed(outputs, isa)
        result = torch.empty(ROWS, HIDDEN, dtype=kind)
        _experts(result, values, *packed, chances, numbers.int(), isa)
        yield f"cpu_fused_moe of slices, {isa}", result, exact
        with NamedTemporaryFile() as first, NamedTemporaryFile() as second:
            many = _sparse(first.name, kind, count, 2 * INNER, HIDDEN), _sparse(second.name, kind, count, HIDDEN, INNER)
            for source, target in zip(packed, many, strict=True):
                target[-EXPERTS:] = source
            _experts(result, values, *many, chances, numbers.int() + count - EXPERTS, isa)
        yield f"cpu_fused_moe of many experts, {isa}", result, exact


def refused(kind: torch.dtype, inputs: Inputs) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return calls of norms, rotary positions and latent attention that would read behind a tensor."""
    operators, values = torch.ops._C, inputs.normal(ROWS, WIDTH, kind=kind)
    few = inputs.normal(WIDTH - 8, kind=kind)
    yield "rms_norm with few weights", lambda: operators.rms_norm(values.clone(), values, few, EPSILON)
    yield "fused_add_rms_norm with few", lambda: operators.fused_add_rms_norm(values, values.clone(), few, EPSILON)
    angles = inputs.normal(40, WIDTH, kind=kind)
    for place in (-1, 40):
        places = torch.tensor([0, place, 1])
        yield (
            f"rotary_embedding at {place}",
            lambda places=places: operators.rotary_embedding(places, values, None, WIDTH, angles, True),
        )
    cache, query = inputs.normal(4, BLOCK, HEAD, kind=kind), inputs.normal(2, HEADS, HEAD, kind=kind)
    output, lengths = torch.empty(2, HEADS, VALUE, dtype=kind), torch.ones(2, dtype=torch.int32)
    table = torch.zeros(2, 4, dtype=torch.int32)
    for name, arguments in {
        "of few results": (output[:1], query, cache, 1.0, table, lengths),
        "of few lengths": (output, query, cache, 1.0, table, lengths[:1]),
        "of few tables": (output, query, cache, 1.0, table[:1], lengths),
    }.items():
        yield f"mla_decode_kvcache {name}", lambda given=arguments: operators.mla_decode_kvcache(*given)


def refused_experts(kind: torch.dtype, inputs: Inputs) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return calls of experts that do not exist, or whose shapes differ."""
    gates, outputs = _weights(kind, inputs)
    values = inputs.normal(ROWS, HIDDEN, kind=kind)
    chances, isa = torch.ones(ROWS, 1), experts_isas()[-1]
    packed = _packed(gates, isa), _packed(outputs, isa)
    first = torch.zeros(ROWS, 1, dtype=torch.int32)
    for name, arguments in {
        "with expert -1": (values.clone(), values, *packed, chances, first - 1, isa),
        f"with expert {EXPERTS}": (values.clone(), values, *packed, chances, first + EXPERTS, isa),
        "with few results": (values[:1].clone(), values, *packed, chances, first, isa),
        "with few choices": (values.clone(), values, *packed, chances, first[:1], isa),
        "with few outputs": (values.clone(), values, packed[0], packed[1][:2], chances, first, isa),
    }.items():
        yield f"cpu_fused_moe {name}", lambda given=arguments: _experts(*given)
    yield "prepack_moe_weight to few", lambda: torch.ops._C.prepack_moe_weight(gates, packed[0][:1], isa)


def refused_int4(kind: torch.dtype, inputs: Inputs) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return calls of int4 products whose shapes differ, where the module has them."""
    if kind == torch.float32 or not hasattr(torch.ops._C, "cpu_gemm_wna16"):
        return
    depth, width, groups = 128, 32, 4
    values, scales = inputs.normal(ROWS, depth, kind=kind), inputs.normal(groups, width, kind=kind)
    weights = torch.zeros(width // 16, 2 * depth, dtype=torch.int32)
    zeros, output = torch.zeros(groups, width // 8, dtype=torch.int32), torch.empty(ROWS, width, dtype=kind)
    for name, arguments in {
        "few results": (values, weights, output[:1], scales, zeros),
        "few weights": (values, weights[:, :depth].contiguous(), output, scales, zeros),
        "few scales": (values, weights, output, scales[:, :8], zeros),
        "few zero points": (values, weights, output, scales, zeros[:, :1]),
        "three groups": (values, weights, output, scales[:3], zeros[:3]),
        "a column for each row": (inputs.normal(depth, ROWS, kind=kind).t(), weights, output, scales, zeros),
    }.items():
        for isa in int4_isas():
            yield (
                f"cpu_gemm_wna16 with {name}, {isa}",
                lambda given=arguments, isa=isa: torch.ops._C.cpu_gemm_wna16(*given, None, 8, isa),
            )


def refused_int4_by_int8(kind: torch.dtype, inputs: Inputs) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return calls of products of int4 and 8 bits whose shapes differ, where the module has them."""
    if kind != torch.bfloat16 or not hasattr(torch.ops._C, "int4_scaled_mm_cpu"):
        return
    depth, width, groups = 256, 64, 2
    numbers = inputs.integers(0, 16, depth, width), inputs.integers(0, 16, groups, width)
    weights, zeros, scales = int4_blocks(*numbers, inputs.normal(groups, width, kind=kind))
    values, bias = inputs.normal(ROWS, depth, kind=kind), inputs.normal(width)
    part = torch.cat((weights, weights), dim=-1)[..., : weights.shape[2]]
    for name, arguments in {
        "few weights": (values, weights[:, :, :-8].contiguous(), zeros, scales, None),
        "a slice of weights": (values, part, zeros, scales, None),
        "few zero points": (values, weights, zeros[:, :1].contiguous(), scales, None),
        "few scales": (values, weights, zeros, scales[:, :1].contiguous(), None),
        "few biases": (values, weights, zeros, scales, bias[:-1]),
        "every second bias": (values, weights, zeros, scales, torch.cat((bias, bias))[::2]),
        "a column for each row": (inputs.normal(depth, ROWS, kind=kind).t(), weights, zeros, scales, None),
    }.items():
        yield f"int4_scaled_mm_cpu with {name}", lambda given=arguments: torch.ops._C.int4_scaled_mm_cpu(*given)


def _weights(kind: torch.dtype, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    gates = inputs.normal(EXPERTS, 2 * INNER, HIDDEN, kind=kind, scale=HIDDEN**-0.5)
    return gates, inputs.normal(EXPERTS, HIDDEN, INNER, kind=kind, scale=INNER**-0.5)


def _packed(weights: torch.Tensor, isa: str) -> torch.Tensor:
    packed = torch.empty_like(weights)
    torch.ops._C.prepack_moe_weight(weights, packed, isa)
    return packed


def _experts(
    result: torch.Tensor,
    values: torch.Tensor,
    gates: torch.Tensor,
    outputs: torch.Tensor,
    chances: torch.Tensor,
    numbers: torch.Tensor,
    isa: str,
) -> None:
    torch.ops._C.cpu_fused_moe(result, values, gates, outputs, None, None, chances, numbers, False, "silu", isa)


def _sparse(name: str, kind: torch.dtype, *shape: int) -> torch.Tensor:
    """Map a file as zeros, of which only what is written takes memory or room on the disk."""
    return torch.from_file(name, shared=True, size=math.prod(shape), dtype=kind).view(shape)
