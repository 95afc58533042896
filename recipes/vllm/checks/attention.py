"""Attention with a paged cache, as vLLM calls it, against 64-bit floats."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch

from checks.comparison import KINDS, ROUNDING_MODES, Inputs, Report, ratio_of, require, rounding

# Of a query and of the keys and values with it: of one sequence.
Lengths = tuple[int, int]
DECODE: Sequence[Lengths] = ((1, 1), (1, 7), (1, 100), (1, 213))
PREFILL: Sequence[Lengths] = ((5, 5), (3, 16), (40, 70))
MIXED: Sequence[Lengths] = ((33, 65), (1, 130), (9, 40), (1, 31), (17, 17))
BATCHES = (DECODE, PREFILL, MIXED)
# Query heads, and heads of keys and values.
HEADS = ((4, 4), (8, 2), (9, 3), (8, 1), (6, 2))
WIDE_HEADS = (32, 64, 96, 128, 160, 192, 224, 256)
NARROW_HEADS = (48, 80, 112)  # multiples of 16 only
SPARE_BLOCKS = 3
SEED = 20


@dataclass(frozen=True, kw_only=True)
class Case:
    """A batch of sequences and the variant of attention.

    `window` counts the keys that a query sees, itself included; 0 is no limit. `sinks` names their type, `sink` is
    their mean.
    """

    head: int
    kind: str
    heads: tuple[int, int] = (4, 4)
    lengths: Sequence[Lengths] = MIXED
    window: int = 0
    softcap: float = 0.0
    alibi: bool = False
    sinks: str = ""
    sink: float = 0.0
    causal: bool = True
    block: int = 32
    split: bool = False
    mode: str = "nearest"
    isa: str = ""
    seed: int = SEED

    @property
    def name(self) -> str:
        """The parts that differ from the plainest case."""
        parts = [f"head {self.head}", self.kind, f"{self.heads[0]}/{self.heads[1]} heads"]
        parts += [" ".join(f"{queries}:{keys}" for queries, keys in self.lengths), f"block {self.block}"]
        named = {"window": self.window, "softcap": self.softcap, "alibi": self.alibi}
        named |= {"sinks": self.sinks, "sink": self.sink}
        parts += [f"{name} {value}" for name, value in named.items() if value]
        parts += ["not causal"] * (not self.causal) + ["split"] * self.split + [f"ISA {self.isa}"] * bool(self.isa)
        return ", ".join(parts + [f"rounding {self.mode}"] * (self.mode != "nearest"))


def small() -> Iterator[Case]:
    """Return the fixed sample of a check: each type, each variant once, narrow and wide heads."""
    yield Case(head=128, kind="fp16", heads=(8, 2))
    yield Case(head=128, kind="bf16", heads=(8, 2), window=24)
    yield Case(head=128, kind="fp32", heads=(9, 3), lengths=PREFILL)
    yield Case(head=64, kind="fp16", heads=(8, 1), softcap=20.0)
    # Exponentials of most logits, divided by such a cap, overflow.
    yield Case(head=64, kind="bf16", softcap=0.001)
    yield Case(head=96, kind="bf16", alibi=True)
    yield Case(head=32, kind="fp16", sinks="bf16", lengths=DECODE)
    # Beside such sinks, most probabilities are subnormal in fp16.
    yield Case(head=64, kind="fp16", sinks="fp32", sink=12.0, lengths=DECODE)
    yield Case(head=80, kind="bf16", heads=(6, 2))
    yield Case(head=48, kind="fp16", lengths=PREFILL)
    yield Case(head=112, kind="fp32", lengths=DECODE)
    yield Case(head=256, kind="bf16", lengths=DECODE, split=True)
    yield from (Case(head=64, kind="fp16", lengths=DECODE, mode=mode) for mode in ROUNDING_MODES)


def whole() -> Iterator[Case]:
    """Return the sample of the suite: each head size and type with a variant chosen by the seed, long sequences."""
    yield from small()
    chosen = random.Random(SEED)
    for head in (*WIDE_HEADS, *NARROW_HEADS):
        for kind in KINDS:
            for lengths in BATCHES:
                yield _variant(Case(head=head, kind=kind, heads=chosen.choice(HEADS), lengths=lengths), chosen)
    for mode in ROUNDING_MODES:
        for kind in KINDS:
            for head in (80, 128):
                yield Case(head=head, kind=kind, heads=(8, 2), lengths=MIXED, mode=mode)
                yield Case(head=head, kind=kind, softcap=20.0, sinks="fp32", lengths=PREFILL, mode=mode)
    for isa in ("vec", "vec16"):
        for kind in KINDS:
            yield Case(head=64, kind=kind, heads=(8, 2), isa=isa)
            yield Case(head=64, kind=kind, heads=(8, 2), softcap=0.001, window=24, isa=isa)
    for kind in KINDS:
        yield Case(head=128, kind=kind, heads=(8, 2), lengths=((1, 4096), (1, 1), (8, 1025)), split=True)
        yield Case(head=64, kind=kind, heads=(4, 1), lengths=((300, 1500), (1, 2049)), window=256)
        yield Case(head=64, kind=kind, heads=(2, 1), lengths=((40, 40), (70, 70)), causal=False)
        yield Case(head=80, kind=kind, softcap=0.001, lengths=PREFILL)


def _variant(case: Case, chosen: random.Random) -> Case:
    """Return the case with a variant and a size of blocks."""
    variants: Sequence[dict[str, object]] = (
        {},
        {"window": chosen.choice((1, 17, 64))},
        {"softcap": chosen.choice((5.0, 50.0))},
        {"alibi": True},
        {"sinks": chosen.choice(("bf16", "fp32"))},
        {"window": 48, "softcap": 30.0, "sinks": "bf16"},
    )
    block = chosen.choice((32, 64, 96, 128)) if case.head % 32 == 0 else chosen.choice((16, 48, 128))
    options = {**chosen.choice(variants), "block": block, "split": chosen.random() < 0.5}
    return replace(case, **options)  # type: ignore[arg-type]


def check(case: Case, report: Report) -> None:
    """Compare the result of a case with 64-bit floats.

    Raises:
        Mismatch: it differs by more than the limit of its type.
    """
    problem = Problem(case)
    threads = torch.get_num_threads()
    if case.mode != "nearest":
        torch.set_num_threads(1)  # other threads round to nearest
    try:
        found = problem.run()
    finally:
        torch.set_num_threads(threads)
    require(report, case.name, ratio_of(found, problem.exact()))


class Problem:
    """Inputs of a case: the cache has its sequences in blocks of random order."""

    def __init__(self, case: Case) -> None:
        self.case = case
        kind, inputs = KINDS[case.kind], Inputs(case.seed)
        heads, kv_heads = case.heads
        self.blocks = [-(-keys // case.block) for _, keys in case.lengths]
        self.queries = inputs.normal(sum(queries for queries, _ in case.lengths), heads, case.head, kind=kind)
        self.keys = [inputs.normal(keys, kv_heads, case.head, kind=kind) for _, keys in case.lengths]
        self.values = [inputs.normal(keys, kv_heads, case.head, kind=kind) for _, keys in case.lengths]
        self.order = inputs.permutation(sum(self.blocks) + SPARE_BLOCKS)
        self.slopes = 2.0 ** -(8.0 * torch.arange(1, heads + 1) / heads) if case.alibi else None
        sinks = inputs.normal(heads, scale=3.0) + case.sink
        self.sinks = sinks.to(KINDS[case.sinks]) if case.sinks else None

    @property
    def scale(self) -> float:
        return float(self.case.head**-0.5)

    def isa(self) -> str:
        """Return the implementation that vLLM chooses, unless the case names one.

        It is that of `_get_attn_isa` in vllm/v1/attention/backends/cpu_attn.py, whose import needs all that vLLM
        requires, of which some has no riscv64 wheels yet.
        """
        case = self.case
        if case.isa:
            return case.isa
        if case.block % 16 == 0 and torch.ops._C.cpu_attn_has_isa("rvv"):
            return "rvv"
        return "vec16" if case.head % 32 or case.block % 32 else "vec"

    def run(self) -> torch.Tensor:
        """Fill the cache and run attention, in the rounding mode of the case."""
        case, isa, kind = self.case, self.isa(), KINDS[self.case.kind]
        # What earlier requests left: nothing of it may be in the result.
        shape = (len(self.order), case.heads[1], case.block * 2, case.head)
        cache = torch.full(shape, float("nan"), dtype=kind)
        key_cache, value_cache = cache.chunk(2, dim=2)
        tables, slots = self._tables()
        starts = torch.tensor([0, *accumulate(queries for queries, _ in case.lengths)], dtype=torch.int32)
        lengths = torch.tensor([keys for _, keys in case.lengths], dtype=torch.int32)
        output = torch.full_like(self.queries, float("nan"))
        window = case.window or -1
        with rounding(case.mode):
            self._store(torch.cat(self.keys), torch.cat(self.values), key_cache, value_cache, slots, isa)
            metadata = torch.ops._C.get_scheduler_metadata(
                len(case.lengths),
                *case.heads,
                case.head,
                lengths,
                kind,
                starts,
                case.causal,
                window,
                isa,
                case.split,
                None,
                "auto",
            )
            torch.ops._C.cpu_attention_with_kv_cache(
                self.queries,
                key_cache,
                value_cache,
                output,
                starts,
                lengths,
                self.scale,
                case.causal,
                self.slopes,
                window,
                tables,
                case.softcap,
                metadata,
                self.sinks,
                None,
                1.0,
                1.0,
                "auto",
            )
        return output

    def _store(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        key_cache: torch.Tensor,
        value_cache: torch.Tensor,
        slots: torch.Tensor,
        isa: str,
    ) -> None:
        torch.ops._C.cpu_attn_reshape_and_cache(keys, values, key_cache, value_cache, slots, isa, 1.0, 1.0, "auto")

    def _tables(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each sequence's blocks, and the slot of each key."""
        block = self.case.block
        tables = torch.zeros(len(self.blocks), max(self.blocks), dtype=torch.int32)
        slots, first = [], 0
        for number, (count, (_, keys)) in enumerate(zip(self.blocks, self.case.lengths, strict=True)):
            own = self.order[first : first + count]
            tables[number, :count] = own.int()
            positions = torch.arange(keys)
            slots.append(own[positions // block] * block + positions % block)
            first += count
        return tables, torch.cat(slots)

    def exact(self) -> torch.Tensor:
        """Return the attention of all sequences in 64-bit floats."""
        counts = [queries for queries, _ in self.case.lengths]
        parts = torch.split(self.queries.double(), counts)
        return torch.cat([self._exact_of(*each) for each in zip(parts, self.keys, self.values, strict=True)])

    def _exact_of(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        case, group = self.case, self.case.heads[0] // self.case.heads[1]
        wide_keys, wide_values = (each.double().repeat_interleave(group, dim=1) for each in (keys, values))
        logits = torch.einsum("qhd,khd->hqk", queries, wide_keys) * self.scale
        if case.softcap:
            logits = case.softcap * torch.tanh(logits / case.softcap)
        distance = _distances(len(queries), len(keys))
        if self.slopes is not None:
            logits = logits - self.slopes.double()[:, None, None] * distance
        logits = logits.masked_fill(self._hidden(distance), float("-inf"))
        if self.sinks is not None:
            sinks = self.sinks.double()[:, None, None].expand(-1, len(queries), 1)
            weights = torch.softmax(torch.cat((sinks, logits), dim=-1), dim=-1)[..., 1:]
        else:
            weights = torch.softmax(logits, dim=-1)
        return torch.einsum("hqk,khd->qhd", weights, wide_values)

    def _hidden(self, distance: torch.Tensor) -> torch.Tensor:
        hidden = distance < 0 if self.case.causal else torch.zeros_like(distance, dtype=torch.bool)
        if self.case.window:
            hidden = hidden | (distance.abs() >= self.case.window)
        return hidden


def _distances(queries: int, keys: int) -> torch.Tensor:
    """Return by how many positions each key precedes each query: the last query has the last key's position."""
    return torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)[None, :]
