"""Generates text with llama-cpp-python on the target and reports it, the CPU backend in use and the largest logits.

Environment: FACTORY_MODEL is the GGUF file, FACTORY_PROFILE the profile's name, FACTORY_RESULT the JSON file to write.
"""

from __future__ import annotations

import ctypes
import json
import os
from itertools import islice
from pathlib import Path

import llama_cpp
import llama_cpp.mtmd_cpp  # loads libmtmd, which nothing else here does
import numpy as np
import numpy.typing as npt

PROMPT = "The capital of France is"
NEW_TOKENS = 16
LARGEST = 8
ROUND_TRIP = "Zwölf Boxkämpfer jagen Viktor über den großen Sylter Deich: 12 - 3 = 9, 你好 👋"


class Symbol(ctypes.Structure):
    """Dl_info of <dlfcn.h>."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


class LogitsRecorder:
    """A logits processor that changes nothing and keeps the largest logits of each step as [token id, logit]."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[int, float]]] = []

    def __call__(self, input_ids: npt.NDArray[np.intc], scores: npt.NDArray[np.single]) -> npt.NDArray[np.single]:
        largest = np.argsort(-scores, kind="stable")[:LARGEST]
        self.steps.append([(int(token), round(float(scores[token]), 4)) for token in largest])
        return scores


def cpu_backend() -> str:
    """The variant of ggml's CPU backend that is registered, by the name of the library that its code lies in.

    The list of mapped files would not do: a variant that was only asked for its score can stay mapped.
    """
    ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml.so"))
    ggml.ggml_backend_reg_by_name.restype = ctypes.c_void_p
    registered = ggml.ggml_backend_reg_by_name(b"CPU")
    assert registered, "no CPU backend is registered: were the backends installed beside libllama and loaded?"
    symbol = Symbol()
    assert ctypes.CDLL(None).dladdr(ctypes.c_void_p(registered), ctypes.byref(symbol)), "the CPU backend has no library"
    return Path(os.fsdecode(symbol.file)).name.removeprefix("libggml-cpu-").removesuffix(".so")


def generate(model: llama_cpp.Llama) -> tuple[list[int], list[list[tuple[int, float]]]]:
    """The greedy continuation of PROMPT and the logits that each of its tokens was chosen from."""
    recorder = LogitsRecorder()
    stream = model.generate(
        model.tokenize(PROMPT.encode()),
        temp=0.0,
        logits_processor=llama_cpp.LogitsProcessorList([recorder]),
    )
    return list(islice(stream, NEW_TOKENS)), recorder.steps


def check_tokenizer(model: llama_cpp.Llama) -> None:
    ids = model.tokenize(ROUND_TRIP.encode(), add_bos=False)
    back = model.detokenize(ids).decode()
    assert back == ROUND_TRIP, f"the tokenizer's round trip changed {ROUND_TRIP!r} into {back!r}"


def main() -> None:
    profile = os.environ["FACTORY_PROFILE"]
    model = llama_cpp.Llama(
        os.environ["FACTORY_MODEL"],
        n_ctx=64,
        n_batch=32,
        n_threads=2,
        n_threads_batch=2,
        verbose=False,
    )
    check_tokenizer(model)
    tokens, logits = generate(model)
    shown = PROMPT + model.detokenize(tokens).decode(errors="replace")
    facts = {
        "cpu-backend": cpu_backend(),
        "system-info": llama_cpp.llama_print_system_info().decode().strip(),
    }
    result = {"shown": shown, "facts": facts, "tokens": tokens, "logits": logits}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    print(f"{profile}: {facts['cpu-backend']}: {shown!r}")
    assert "Paris" in shown, f"on {profile} the model doesn't know the capital of France: {shown!r}"


if __name__ == "__main__":
    main()
