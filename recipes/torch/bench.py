"""What `factory bench instructions torch` counts: the work of a small language model for one token.

Shapes are those of SmolLM2-135M, which has 30 such layers; the numbers are made up, since counts don't depend on them.
The parts of a layer are counted by themselves too: its products with weights are OpenBLAS's, the rest is torch's own.
Where "DEFAULT" is said, torch is told that the CPU has no vectors; OpenBLAS asks for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

HIDDEN, INNER, VOCABULARY = 576, 1536, 49152
HEADS, KEY_HEADS, SIZE = 9, 3, 64  # of attention; keys and values have fewer heads, each as wide
PAST = 63  # tokens that were read before
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05}  # of the largest value; bfloat16 keeps 8 bits
Call = Callable[[], object]


class Layer:
    """One layer's weights and inputs of one type, and its steps as transformers writes them for Llama."""

    def __init__(self, kind: str) -> None:
        import numpy
        import torch

        self.torch = torch
        # Not torch's own, since every instruction of torch's is looked at, also of what is only prepared.
        self.random = numpy.random.default_rng(7)
        self.kind = getattr(torch, kind)
        self.hidden = self.made(1, 1, HIDDEN)
        self.wide = self.made(1, 1, INNER)
        self.query = self.made(1, HEADS, 1, SIZE)
        self.key = self.made(1, KEY_HEADS, 1, SIZE)
        self.value = self.made(1, KEY_HEADS, 1, SIZE)
        self.past_keys, self.past_values = (self.made(1, KEY_HEADS, PAST, SIZE) for _ in range(2))
        self.cosine, self.sine = (self.made(1, 1, 1, SIZE) for _ in range(2))
        self.scale = self.made(HIDDEN)
        self.to_query, self.to_out = (self.weights(HIDDEN, HIDDEN) for _ in range(2))
        self.to_key, self.to_value = (self.weights(KEY_HEADS * SIZE, HIDDEN) for _ in range(2))
        self.to_gate, self.to_up = (self.weights(INNER, HIDDEN) for _ in range(2))
        self.to_down = self.weights(HIDDEN, INNER)

    def made(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        return self.torch.from_numpy(self.random.standard_normal(shape, dtype="float32") * scale).to(self.kind)

    def weights(self, rows: int, columns: int) -> torch.Tensor:
        return self.made(rows, columns, scale=columns**-0.5)

    def norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """The root mean square norm, in 32-bit floats."""
        wide = hidden.to(self.torch.float32)
        return self.scale * (wide * self.torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(hidden.dtype)

    def turned(self, states: torch.Tensor) -> torch.Tensor:
        """Positions as rotations."""
        left, right = states[..., : SIZE // 2], states[..., SIZE // 2 :]
        return states * self.cosine + self.torch.cat((-right, left), dim=-1) * self.sine

    def attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """One query over all keys, those of the tokens before it among them."""
        keys, values = (
            self.torch.cat((past, new), dim=2).repeat_interleave(HEADS // KEY_HEADS, dim=1)
            for past, new in ((self.past_keys, key), (self.past_values, value))
        )
        return self.torch.nn.functional.scaled_dot_product_attention(query, keys, values)

    def gated(self, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        return self.torch.nn.functional.silu(gate) * up

    def products(self, hidden: torch.Tensor) -> torch.Tensor:
        """All seven products with weights."""
        linear = self.torch.nn.functional.linear
        found = [linear(hidden, each) for each in (self.to_query, self.to_key, self.to_value, self.to_out)]
        found += [linear(hidden, each) for each in (self.to_gate, self.to_up)]
        return self.torch.cat([*found, linear(self.wide, self.to_down)], dim=-1)

    def whole(self, hidden: torch.Tensor) -> torch.Tensor:
        linear = self.torch.nn.functional.linear
        normed = self.norm(hidden)
        heads = [
            linear(normed, weights).view(1, 1, -1, SIZE).transpose(1, 2)
            for weights in (self.to_query, self.to_key, self.to_value)
        ]
        mixed = self.attention(self.turned(heads[0]), self.turned(heads[1]), heads[2])
        hidden = hidden + linear(mixed.transpose(1, 2).reshape(1, 1, HIDDEN), self.to_out)
        normed = self.norm(hidden)
        gated = self.gated(linear(normed, self.to_gate), linear(normed, self.to_up))
        return hidden + linear(gated, self.to_down)

    def in_doubles(self) -> Layer:
        """The same numbers as 64-bit floats."""
        other = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, self.torch.Tensor):
                setattr(other, name, value.double())
        return other


STEPS: Mapping[str, Callable[[Layer], torch.Tensor]] = {
    "layer": lambda layer: layer.whole(layer.hidden),
    "products": lambda layer: layer.products(layer.hidden),
    "attention": lambda layer: layer.attention(layer.query, layer.key, layer.value),
    "norm": lambda layer: layer.norm(layer.hidden),
    "positions": lambda layer: layer.turned(layer.query),
    "gate": lambda layer: layer.gated(layer.wide, layer.wide),
}


def step(name: str, kind: str, capability: str = "") -> Call:
    """A step of a layer; the first call is held against the same in 64-bit floats."""
    layer, function = prepared(kind, capability), STEPS[name]
    call = layer.torch.inference_mode()(partial(function, layer))
    found, exact = call().double(), function(layer.in_doubles())
    distance = ((found - exact).abs().max() / exact.abs().max()).item()
    assert distance < TOLERANCE[kind], f"{name} in {kind} differs by {distance}"
    return call


def head(kind: str) -> Call:
    """What comes after the layers: the product with the vocabulary, and the most likely token; checked as a step is."""
    layer = prepared(kind, "")
    weights, linear = layer.weights(VOCABULARY, HIDDEN), layer.torch.nn.functional.linear
    call = layer.torch.inference_mode()(lambda: linear(layer.hidden, weights).argmax())
    exact = linear(layer.hidden.double(), weights.double()).flatten()
    distance = ((exact.max() - exact[call()]) / exact.max()).item()
    assert distance < TOLERANCE[kind], f"the most likely token in {kind} is short of the best by {distance}"
    return call


def prepared(kind: str, capability: str) -> Layer:
    """A layer, in a process that has one thread and, if a capability is said, takes the CPU for that."""
    if capability:
        os.environ["ATEN_CPU_CAPABILITY"] = capability
    import torch

    torch.set_num_threads(1)
    return Layer(kind)


CASES: Mapping[str, Callable[[], Call]] = {
    **{f"{name}, {kind}": partial(step, name, kind) for kind in TOLERANCE for name in STEPS},
    **{f"layer, {kind}, DEFAULT": partial(step, "layer", kind, "default") for kind in TOLERANCE},
    **{f"head, {kind}": partial(head, kind) for kind in TOLERANCE},
}
