"""Tests of models with random weights."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize

from factory.bench.qemu.model_shape import DEEPSEEK_R1_DISTILL_QWEN_1_5B, ModelShape, read_types
from factory.bench.qemu.random_model import DEVIATION, SCALES, write_random, write_unquantized

TINY = ModelShape(name="tiny", layers=2, hidden=256, feed_forward=512, heads=4, key_value_heads=2, vocabulary=1024)
DRY_RUN = """\
[   1/ 339] output.weight - [ 1536, 151936,     1,     1], type =    f16, size =   445.12 MiB ->   182.57 MiB (q6_K)
[   2/ 339] output_norm.weight                   - [ 1536,     1,     1,     1], type =    f32, size =    0.006 MiB
[   3/ 339] blk.0.ffn_down.weight - [ 8960,  1536,     1,     1], type =    f16, size =  26.25 MiB ->   5.64 MiB (q3_K)
llama_model_quantize_impl: model size  =  3389.41 MiB (16.00 BPW)
"""


def types(kind: str) -> dict[str, str]:
    return {name: kind if len(shape) > 1 else "F32" for name, shape in TINY.tensors().items()}


def test_shape_has_1777_million_weights() -> None:
    tensors = DEEPSEEK_R1_DISTILL_QWEN_1_5B.tensors()
    assert sum(prod(shape) for shape in tensors.values()) == 1_777_088_000
    assert len(tensors) == 339


def test_read_types_of_llama_quantize() -> None:
    assert read_types(DRY_RUN) == {
        "output.weight": "Q6_K",
        "output_norm.weight": "F32",
        "blk.0.ffn_down.weight": "Q3_K",
    }


@pytest.mark.parametrize("kind", SCALES)
def test_write_random_has_deviation_of_trained_models(kind: str, tmp_path: Path) -> None:
    write_random(TINY, types(kind), tmp_path / "model.gguf")
    tensors = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "model.gguf").tensors}
    assert {name: tuple(reversed(tensor.shape.tolist())) for name, tensor in tensors.items()} == TINY.tensors()
    weights = dequantize(tensors["blk.1.ffn_down.weight"].data, tensors["blk.1.ffn_down.weight"].tensor_type)
    assert np.std(weights) == pytest.approx(DEVIATION, rel=0.05)
    assert np.allclose(tensors["blk.0.attn_norm.weight"].data, 1.0, atol=0.1)


def test_write_random_is_deterministic(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_random(TINY, types("Q2_K"), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_write_unquantized_is_sparse(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    # Readers take a minute for the tokens of the whole vocabulary.
    write_unquantized(replace(DEEPSEEK_R1_DISTILL_QWEN_1_5B, vocabulary=1024), path)
    assert path.stat().st_size > 2.5e9
    assert path.stat().st_blocks * 512 < 10e6
    assert len(GGUFReader(path).tensors) == 339
