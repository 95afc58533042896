"""Language models that fit into a board's memory, by the size of their weights."""

from __future__ import annotations

from dataclasses import dataclass

# Bits per weight in GGUF files: a block of 32 weights has 4 or 8 bits for each, and a scale of 16 bits.
BITS = {"Q4_0": 4.5, "Q8_0": 8.5}
# Billions of weights, as the names state them.
MODELS = {
    "SmolLM2-135M": 0.135,
    "SmolLM2-360M": 0.36,
    "Qwen3-0.6B": 0.6,
    "SmolLM2-1.7B": 1.7,
    "SmolLM3-3B": 3,
    "Qwen3-4B": 4,
    "Qwen3-8B": 8,
    "Qwen3-14B": 14,
    "Qwen3-32B": 32,
    "Llama-3.3-70B": 70,
}
MEMORIES = (1, 2, 4, 8, 16, 32, 64)  # GB of boards


def room_for_weights(memory: float) -> float:
    """Return the part of a memory that weights may take.

    The system and the context take a quarter, at least 0.5 GB.
    """
    return min(memory * 3 / 4, memory - 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The largest of MODELS that fits into a memory, and the size of its weights in GB."""

    model: str
    size: float


def largest_model(memory: float, form: str) -> Fit:
    """Return the largest model whose weights in this form of GGUF fit into `memory` GB.

    The smallest one fits into every memory of a board that runs Linux.
    """
    sizes = {model: weights * BITS[form] / 8 for model, weights in MODELS.items()}
    fitting = [model for model, size in sizes.items() if size <= room_for_weights(memory)]
    model = fitting[-1] if fitting else next(iter(sizes))
    return Fit(model=model, size=sizes[model])
