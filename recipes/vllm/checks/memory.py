"""A model that needs more memory than there is, which vLLM has to refuse before it loads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psutil
from vllm import LLM

WEIGHTS = "model.safetensors"


def refusal(model: Path, folder: Path) -> str:
    """Return vLLM's message on a copy of `model` whose weights are four times the machine's memory."""
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns(WEIGHTS))
    size = 4 * psutil.virtual_memory().total
    header = json.dumps({"weight": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    with (folder / WEIGHTS).open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    try:
        LLM(str(folder), dtype="float32", enforce_eager=True, max_model_len=128)
    except ValueError as error:
        return str(error)
    raise AssertionError("a model of four times the memory was loaded")
