"""Generates text with llama-cpp-python on the target and reports it, the CPU backend in use and the largest logits.

The model's weights have few of ggml's types. Of others, whose kernels are written for each length of vectors, dot
products are held against those of the numbers that the weights stand for.

Environment: FACTORY_MODEL is the GGUF file, FACTORY_PROFILE the profile's name, FACTORY_RESULT the JSON file to write.
"""

from __future__ import annotations

import ctypes
import json
import os
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p
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
# enum ggml_type of those.
TYPES = {"q3_K": 11, "q6_K": 14, "iq2_xxs": 16, "iq3_xxs": 18, "iq2_s": 22, "iq1_m": 29}
# Where in a block of weights their scale begins, a 16-bit float; the others begin with it.
SCALES = {"q3_K": 108, "q6_K": 208}
# iq1_m has its scale in the upper halves of these bytes.
SCALE_HALVES = (49, 51, 53, 55)
# block_q8_K, what the other factors become.
Q8_K = np.dtype([("scale", "<f4"), ("values", "i1", 256), ("sums", "<i2", 16)])
BLOCKS = 8
# Of the product of the norms: what float sums of so few numbers may lose, far below a single wrong one.
TOLERANCE = 1e-5
SEED = 7


class Symbol(ctypes.Structure):
    """Dl_info of <dlfcn.h>."""

    _fields_ = (("file", c_char_p), ("base", c_void_p), ("name", c_char_p), ("address", c_void_p))


class Traits(ctypes.Structure):
    """ggml_type_traits."""

    _fields_ = (
        ("type_name", c_char_p),
        ("blck_size", c_int64),
        ("blck_size_interleave", c_int64),
        ("type_size", c_size_t),
        ("is_quantized", c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int64)),
        ("from_float_ref", c_void_p),
    )


class CpuTraits(ctypes.Structure):
    """ggml_type_traits_cpu."""

    _fields_ = (
        ("from_float", ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int64)),
        (
            "vec_dot",
            ctypes.CFUNCTYPE(None, c_int, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_size_t, c_int),
        ),
        ("vec_dot_type", c_int),
        ("nrows", c_int64),
    )


class LogitsRecorder:
    """A logits processor that changes nothing and keeps the largest logits of each step as [token id, logit]."""

    def __init__(self) -> None:
        self.steps: list[list[tuple[int, float]]] = []

    def __call__(self, input_ids: npt.NDArray[np.intc], scores: npt.NDArray[np.single]) -> npt.NDArray[np.single]:
        largest = np.argsort(-scores, kind="stable")[:LARGEST]
        self.steps.append([(int(token), round(float(scores[token]), 4)) for token in largest])
        return scores


def cpu_backend() -> Path:
    """The library of the variant of ggml's CPU backend that is registered, by where its code lies.

    The list of mapped files would not do: a variant that was only asked for its score can stay mapped.
    """
    ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml.so"))
    ggml.ggml_backend_reg_by_name.restype = c_void_p
    registered = ggml.ggml_backend_reg_by_name(b"CPU")
    assert registered, "no CPU backend is registered: were the backends installed beside libllama and loaded?"
    symbol = Symbol()
    assert ctypes.CDLL(None).dladdr(c_void_p(registered), ctypes.byref(symbol)), "the CPU backend has no library"
    return Path(os.fsdecode(symbol.file))


class DotProducts:
    """The backend's products of a row of weights with a row of activations."""

    def __init__(self, backend: Path) -> None:
        base, cpu = ctypes.CDLL(str(backend.with_name("libggml-base.so"))), ctypes.CDLL(str(backend))
        base.ggml_get_type_traits.restype = POINTER(Traits)
        cpu.ggml_get_type_traits_cpu.restype = POINTER(CpuTraits)
        self.base, self.cpu = base, cpu
        self.random = np.random.default_rng(SEED)

    def check(self, name: str, kind: int) -> None:
        """Any bytes are weights, but for the scale, which has to be a number."""
        traits = self.base.ggml_get_type_traits(kind).contents
        assert traits.type_name.decode() == name
        count = BLOCKS * traits.blck_size
        weights = self.random.integers(256, size=(BLOCKS, traits.type_size), dtype=np.uint8)
        set_scale(name, weights)
        numbers = np.empty(count, np.float32)
        traits.to_float(weights.ctypes.data, numbers.ctypes.data, count)
        kernels = self.cpu.ggml_get_type_traits_cpu(kind).contents
        factors, exact = self.activations(count, kernels.vec_dot_type)
        found = c_float()
        kernels.vec_dot(count, ctypes.addressof(found), 0, weights.ctypes.data, 0, factors.ctypes.data, 0, 1)
        expected = float(numbers.astype(np.float64) @ exact)
        allowed = TOLERANCE * float(np.linalg.norm(numbers) * np.linalg.norm(exact))
        assert abs(found.value - expected) <= allowed, f"a dot product of {name} is {found.value}, not {expected}"

    def activations(self, count: int, kind: int) -> tuple[npt.NDArray[np.void], npt.NDArray[np.float64]]:
        """Some as the backend makes them, and the numbers that they stand for."""
        assert self.base.ggml_get_type_traits(kind).contents.type_size == Q8_K.itemsize
        given = self.random.standard_normal(count, dtype=np.float32)
        blocks = np.zeros(BLOCKS, Q8_K)
        self.cpu.ggml_get_type_traits_cpu(kind).contents.from_float(given.ctypes.data, blocks.ctypes.data, count)
        return blocks, (blocks["scale"][:, None].astype(np.float64) * blocks["values"]).ravel()


def set_scale(name: str, blocks: npt.NDArray[np.uint8]) -> None:
    """Let all blocks have the scale 1."""
    one = np.array([1.0], "<f2").view(np.uint8)
    if name == "iq1_m":
        for place, half in zip(SCALE_HALVES, (one[0] & 15, one[0] >> 4, one[1] & 15, one[1] >> 4), strict=True):
            blocks[:, place] = blocks[:, place] & 15 | half << 4
    else:
        place = SCALES.get(name, 0)
        blocks[:, place : place + 2] = one


def check_dot_products(backend: Path) -> None:
    products = DotProducts(backend)
    for name, kind in TYPES.items():
        products.check(name, kind)


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
    # Ask for SpacemiT's matrix instructions everywhere: the recipe says which profile may use them.
    os.environ["GGML_RISCV_IME"] = "1"
    model = llama_cpp.Llama(
        os.environ["FACTORY_MODEL"],
        n_ctx=64,
        n_batch=32,
        n_threads=2,
        n_threads_batch=2,
        verbose=False,
    )
    check_tokenizer(model)
    backend = cpu_backend()
    check_dot_products(backend)
    tokens, logits = generate(model)
    shown = PROMPT + model.detokenize(tokens).decode(errors="replace")
    facts = {
        "cpu-backend": backend.name.removeprefix("libggml-cpu-").removesuffix(".so"),
        "system-info": llama_cpp.llama_print_system_info().decode().strip(),
    }
    result = {"shown": shown, "facts": facts, "tokens": tokens, "logits": logits}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    print(f"{profile}: {facts['cpu-backend']}: {shown!r}")
    assert "Paris" in shown, f"on {profile} the model doesn't know the capital of France: {shown!r}"


if __name__ == "__main__":
    main()
