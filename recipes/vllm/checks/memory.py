"""A model that needs more memory than there is, which vLLM has to refuse before it loads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psutil
from vllm import LLM

WEIGHTS = "model.safetensors"
# Of a file, which sandboxes limit; none of them takes room on the disk.
SHARD = 1 << 30


def refusal(model: Path, folder: Path) -> str:
    """Return vLLM's message on a copy of `model` whose weights are four times the machine's memory."""
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns(WEIGHTS))
    for number in range(4 * psutil.virtual_memory().total // SHARD):
        _write_shard(folder / f"model-{number:05}.safetensors", f"weight{number}")
    try:
        LLM(str(folder), dtype="float32", enforce_eager=True, max_model_len=128)
    except ValueError as error:
        return str(error)
    raise AssertionError("a model of four times the memory was loaded")


def _write_shard(path: Path, name: str) -> None:
    """Write a safetensors file of one float32 weight, which is a hole."""
    header = json.dumps({name: {"dtype": "F32", "shape": [SHARD // 4], "data_offsets": [0, SHARD]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + SHARD)
