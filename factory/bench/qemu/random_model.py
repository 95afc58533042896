"""Model files (GGUF) with random weights and a real model's shapes and types.

The speed of a model depends on its shapes and types, not on its weights. This is the only importer of gguf, which the
`bench` extra installs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import dequantize

from factory.bench.qemu.model_shape import ModelShape, Shape

Bytes = npt.NDArray[np.uint8]

# Byte offsets of the scales in a block of each type, each a half-precision number; the other bytes may be random.
SCALES: Mapping[str, Shape] = {
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "Q8_0": (0,),
}
# The standard deviation of the weights, as in trained models: larger ones would overflow.
DEVIATION = 0.02
SEED = 1
# Bytes that stand for themselves in the tokens of byte-level vocabularies.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))


def write_unquantized(shape: ModelShape, path: Path) -> None:
    """Write the input of llama-quantize: a sparse file, matrices in half precision."""
    writer = _describe(shape, path)
    for name, dimensions in shape.tensors().items():
        kind = np.dtype(np.float16 if len(dimensions) > 1 else np.float32)
        writer.add_tensor_info(name, dimensions, kind, prod(dimensions) * kind.itemsize)
    sizes = [info.nbytes for tensors in writer.tensors for info in tensors.values()]
    _open(writer)
    writer.close()
    data = sum(GGUFWriter.ggml_pad(size, writer.data_alignment) for size in sizes)
    start = GGUFWriter.ggml_pad(path.stat().st_size, writer.data_alignment)
    with path.open("r+b") as file:
        file.truncate(start + data)


def write_random(shape: ModelShape, types: Mapping[str, str], path: Path) -> None:
    """Write the model with the given types and random weights from a fixed seed."""
    writer = _describe(shape, path)
    tensors = shape.tensors()
    for name, dimensions in tensors.items():
        kind = GGMLQuantizationType[types[name]]
        elements, size = GGML_QUANT_SIZES[kind]
        in_bytes = (*dimensions[:-1], dimensions[-1] // elements * size)
        writer.add_tensor_info(name, in_bytes, np.dtype(np.uint8), prod(in_bytes), raw_dtype=kind)
    _open(writer)
    random = np.random.default_rng(SEED)
    for name, dimensions in tensors.items():
        writer.write_tensor_data(_weights(name, dimensions, types[name], random))
    writer.close()


def _describe(shape: ModelShape, path: Path) -> GGUFWriter:
    """Make a writer with all metadata, without the tensors."""
    writer = GGUFWriter(path, "qwen2")
    writer.add_name(f"{shape.name}, random weights")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_value_heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    tokens, merges = _vocabulary(shape.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-r1-qwen")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL] * (len(tokens) - 1) + [TokenType.CONTROL])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens) - 1)
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_add_bos_token(False)
    return writer


def _vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Make a byte-level vocabulary: bytes, pairs of small letters, and unused words."""
    others = iter(range(0x100, 0x200))
    letters = [chr(byte) if byte in _PRINTABLE else chr(next(others)) for byte in range(0x100)]
    small = [chr(letter) for letter in range(ord("a"), ord("z") + 1)]
    pairs = [(first, second) for first in small for second in small]
    tokens = [*letters, *(first + second for first, second in pairs)]
    tokens += [f"<{number}>" for number in range(len(tokens), size)]
    return tokens, [f"{first} {second}" for first, second in pairs]


def _open(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()


def _weights(name: str, dimensions: Shape, kind: str, random: np.random.Generator) -> Bytes:
    """Make a random tensor, as the bytes of its rows."""
    if kind in ("F32", "F16"):
        center = 1.0 if name.endswith("norm.weight") else 0.0
        values = random.normal(center, DEVIATION, dimensions).astype(np.float32 if kind == "F32" else np.float16)
        return values.view(np.uint8)
    elements, _ = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    return _blocks(prod(dimensions) // elements, kind, _scale(kind), random).reshape(*dimensions[:-1], -1)


def _blocks(count: int, kind: str, scale: float, random: np.random.Generator) -> Bytes:
    """Make random blocks of a quantized type, one per row, with equal scales."""
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = np.frombuffer(bytearray(random.bytes(count * size)), dtype=np.uint8).reshape(count, size)
    for offset in SCALES[kind]:
        blocks[:, offset : offset + 2] = np.array([scale], dtype=np.float16).view(np.uint8)
    return blocks


@cache
def _scale(kind: str) -> float:
    """Find the scale at which random blocks have weights with DEVIATION."""
    sample = _blocks(256, kind, 1.0, np.random.default_rng(SEED))
    return DEVIATION / float(np.std(dequantize(sample, GGMLQuantizationType[kind])))
