"""A model whose linear layers hold 4 bits a weight (GPTQ's format), and the same numbers as floats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

BITS = 4
GROUP = 32  # weights that share a scale
ZERO = 8
NUMBERS = 8  # packed into 32 bits
WEIGHTS = "model.safetensors"


def write_quantized(model: Path, quantized: Path, floats: Path) -> None:
    """Round a model's layers to 4 bits and the rest to 16; `floats` gets the same numbers in float32."""
    packed, plain = {}, {}
    for name, values in load_file(model / WEIGHTS).items():
        packed[name] = values.astype(np.float16)
        plain[name] = packed[name].astype(np.float32)
        if name.endswith("_proj.weight"):
            numbers, scales = quantize(values)
            plain[name] = (numbers.astype(np.float32) - ZERO) * np.repeat(scales.astype(np.float32), GROUP, 1)
            del packed[name]
            layer = name.removesuffix("weight")
            packed |= {f"{layer}{key}": value for key, value in as_gptq(numbers, scales).items()}
    for folder, tensors in ((quantized, packed), (floats, plain)):
        shutil.copytree(model, folder, ignore=shutil.ignore_patterns(WEIGHTS))
        save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, folder / WEIGHTS)
    path = quantized / "config.json"
    how = {"quant_method": "gptq", "bits": BITS, "group_size": GROUP, "sym": True, "desc_act": False}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": how}))


def quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers from 0 to 15 in the shape of `weight`, and float16 scales [outputs, inputs / GROUP].

    A weight is (number - ZERO) * scale.
    """
    groups = weight.reshape(weight.shape[0], -1, GROUP)
    largest = np.maximum(groups.max(2) / (ZERO - 1), groups.min(2) / -ZERO)
    scales = np.maximum(largest, 1e-6).astype(np.float16)
    numbers = np.rint(groups / scales[..., None].astype(np.float32)) + ZERO
    return numbers.clip(0, 15).astype(np.uint8).reshape(weight.shape), scales


def as_gptq(numbers: np.ndarray, scales: np.ndarray) -> dict[str, np.ndarray]:
    """Return a layer's tensors as GPTQ names and packs them: inputs first, zero points less one."""
    outputs, inputs = numbers.shape
    return {
        "qweight": _pack(numbers.T.reshape(-1, NUMBERS, outputs).swapaxes(1, 2)),
        "scales": scales.T,
        "qzeros": _pack(np.full((inputs // GROUP, outputs // NUMBERS, NUMBERS), ZERO - 1, np.uint8)),
        "g_idx": np.arange(inputs, dtype=np.int32) // GROUP,
    }


def _pack(numbers: np.ndarray) -> np.ndarray:
    """Pack the last axis into 32 bits, the first number lowest."""
    shifts = np.arange(0, NUMBERS * BITS, BITS, dtype=np.uint32)
    return np.bitwise_or.reduce(numbers.astype(np.uint32) << shifts, -1).view(np.int32)
