"""Shapes of a language model, and types that llama.cpp chooses for its tensors."""

from __future__ import annotations

import re
from dataclasses import dataclass

Shape = tuple[int, ...]
_QUANTIZED = re.compile(
    r"^\[ *\d+/ *\d+\] +(?P<name>\S+) .* type = +(?P<type>\w+), size = [^()\n]*(?:\((?P<new>\w+)\))?$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a model of the Qwen2 family with separate output weights."""

    name: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    key_value_heads: int
    vocabulary: int
    context: int = 131072
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-6

    @property
    def key_value_width(self) -> int:
        return self.hidden // self.heads * self.key_value_heads

    def tensors(self) -> dict[str, Shape]:
        """Map each tensor's name to its shape, rows first."""
        hidden, narrow, wide = self.hidden, self.key_value_width, self.feed_forward
        block: dict[str, Shape] = {
            "attn_norm.weight": (hidden,),
            "attn_q.weight": (hidden, hidden),
            "attn_q.bias": (hidden,),
            "attn_k.weight": (narrow, hidden),
            "attn_k.bias": (narrow,),
            "attn_v.weight": (narrow, hidden),
            "attn_v.bias": (narrow,),
            "attn_output.weight": (hidden, hidden),
            "ffn_norm.weight": (hidden,),
            "ffn_gate.weight": (wide, hidden),
            "ffn_up.weight": (wide, hidden),
            "ffn_down.weight": (hidden, wide),
        }
        blocks = {f"blk.{layer}.{name}": shape for layer in range(self.layers) for name, shape in block.items()}
        table = (self.vocabulary, hidden)
        return {"token_embd.weight": table, "output_norm.weight": (hidden,), "output.weight": table, **blocks}


DEEPSEEK_R1_DISTILL_QWEN_1_5B = ModelShape(
    name="DeepSeek-R1-Distill-Qwen-1.5B",
    layers=28,
    hidden=1536,
    feed_forward=8960,
    heads=12,
    key_value_heads=2,
    vocabulary=151936,
)


def read_types(printed: str) -> dict[str, str]:
    """Read the type of each tensor, such as `Q2_K`, from `llama-quantize --dry-run`."""
    return {match["name"]: (match["new"] or match["type"]).upper() for match in _QUANTIZED.finditer(printed)}
