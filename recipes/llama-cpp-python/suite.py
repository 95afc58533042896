"""Matrix products and probabilities of every CPU backend that this CPU can run.

Products in each of ggml's quantized types are compared with those of float64, and may differ at most twice as much as
those of the backend without vectors. The probabilities that a model gives to the next token are compared with that
backend's, for a prompt in one batch and token by token: unquantized, and in types with kernels of their own.

Environment: FACTORY_MODEL is the GGUF file, FACTORY_RESULT the JSON file to write.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from ctypes import POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, quants

Floats = npt.NDArray[np.float32]
LIBRARIES = Path(llama_cpp.__file__).parent / "lib"
PREFIX = "libggml-cpu-"
TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "F16")
# Rows and columns of weights. The depths are those of SmolLM2-135M, Qwen2.5-0.5B and TinyLlama; each kernel takes
# blocks of rows, so that few are enough.
SHAPES = ((576, 576), (192, 576), (96, 1536), (128, 896), (32, 4864), (64, 2048), (32, 5632))
BATCHES = (1, 2, 5, 33)
SEED, THREADS = 11, 2
F32 = 0
# Numbers of llama_ftype: what the model is converted to. QEMU takes far longer for products of 32-bit floats.
MODELS = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "F32": 0}
PROMPT = (
    "The capital of France is Paris, that of Italy is Rome, and that of Spain is Madrid. "
    "In which of these three cities would you find the Colosseum?"
)
TOKENS = 33
# Of the Kullback-Leibler divergence from the baseline's probabilities, in nats: the mean of all tokens. Quantized types
# round activations to 8 bits, so that a difference in the last bit of one becomes one of 1/127.
DIVERGENCE = {"F32": 1e-5}
OTHER_DIVERGENCE = 0.02


class Tensor(ctypes.Structure):
    """The beginning of ggml_tensor."""

    _fields_ = (("type", c_int), ("buffer", c_void_p), ("ne", c_int64 * 4), ("nb", c_size_t * 4))


class InitParams(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = (("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool))


TENSOR = POINTER(Tensor)
# Functions of libggml-base and libggml: what they return, and take.
FUNCTIONS = {
    "ggml_init": (c_void_p, (InitParams,)),
    "ggml_free": (None, (c_void_p,)),
    "ggml_new_tensor_2d": (TENSOR, (c_void_p, c_int, c_int64, c_int64)),
    "ggml_mul_mat": (TENSOR, (c_void_p, TENSOR, TENSOR)),
    "ggml_new_graph": (c_void_p, (c_void_p,)),
    "ggml_build_forward_expand": (None, (c_void_p, TENSOR)),
    "ggml_quantize_chunk": (c_size_t, (c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p)),
    "ggml_backend_load": (c_void_p, (c_char_p,)),
    "ggml_backend_reg_dev_get": (c_void_p, (c_void_p, c_size_t)),
    "ggml_backend_reg_get_proc_address": (c_void_p, (c_void_p, c_char_p)),
    "ggml_backend_dev_init": (c_void_p, (c_void_p, c_char_p)),
    "ggml_backend_dev_buffer_type": (c_void_p, (c_void_p,)),
    "ggml_backend_dev_supports_op": (c_bool, (c_void_p, TENSOR)),
    "ggml_backend_buft_name": (c_char_p, (c_void_p,)),
    "ggml_backend_buft_alloc_buffer": (c_void_p, (c_void_p, c_size_t)),
    "ggml_backend_buffer_free": (None, (c_void_p,)),
    "ggml_backend_alloc_ctx_tensors_from_buft": (c_void_p, (c_void_p, c_void_p)),
    "ggml_backend_tensor_set": (None, (TENSOR, c_void_p, c_size_t, c_size_t)),
    "ggml_backend_tensor_get": (None, (TENSOR, c_void_p, c_size_t, c_size_t)),
    "ggml_backend_graph_compute": (c_int, (c_void_p, c_void_p)),
}


def bind() -> dict[str, ctypes._CFuncPtr]:
    """Return the functions by their names."""
    libraries = [ctypes.CDLL(str(LIBRARIES / name)) for name in ("libggml-base.so", "libggml.so")]
    bound = {}
    for name, (result, arguments) in FUNCTIONS.items():
        function = next(getattr(library, name) for library in libraries if hasattr(library, name))
        function.restype, function.argtypes = result, arguments
        bound[name.removeprefix("ggml_")] = function
    return bound


GGML = bind()


@dataclass(frozen=True)
class Product:
    """Rows of weights in a type, as ggml's bytes, activations, and the product in float64."""

    kind: int
    packed: npt.NDArray[np.uint8]
    activations: Floats
    exact: npt.NDArray[np.float64]

    def error(self, found: Floats) -> float:
        """Return the root mean square of differences from float64, as a part of that of the results."""
        return float(np.linalg.norm(found - self.exact) / np.linalg.norm(self.exact))


class Backend:
    """A CPU backend that was loaded. It may keep weights in an order of its own."""

    def __init__(self, registered: int) -> None:
        self.device = GGML["backend_reg_dev_get"](registered, 0)
        self.backend = GGML["backend_dev_init"](self.device, None)
        self._set_threads(registered)
        self.plain = GGML["backend_dev_buffer_type"](self.device)
        address = GGML["backend_reg_get_proc_address"](registered, b"ggml_backend_dev_get_extra_bufts")
        found = ctypes.CFUNCTYPE(POINTER(c_void_p), c_void_p)(address)(self.device)
        self.others = []
        while found and found[len(self.others)]:
            self.others.append(found[len(self.others)])

    def _set_threads(self, registered: int) -> None:
        address = GGML["backend_reg_get_proc_address"](registered, b"ggml_backend_set_n_threads")
        ctypes.CFUNCTYPE(None, c_void_p, c_int)(address)(self.backend, THREADS)

    def multiply(self, product: Product) -> Iterator[tuple[str, Floats]]:
        """Return results by the names of the orders that weights of this type are kept in."""
        for order in (self.plain, *self.others):
            name = GGML["backend_buft_name"](order).decode()
            result = self._multiply(product, order)
            if result is not None:
                yield name, result

    def _multiply(self, product: Product, order: int) -> Floats | None:
        """Return the product with weights in an order, None if it is not for them."""
        (batch, depth), rows = product.activations.shape, len(product.packed)
        model, context = (GGML["init"](InitParams(1 << 20, None, True)) for _ in range(2))
        weights = GGML["new_tensor_2d"](model, product.kind, depth, rows)
        activations = GGML["new_tensor_2d"](context, F32, depth, batch)
        result = GGML["mul_mat"](context, weights, activations)
        try:
            if order != self.plain and not self._takes(order, weights, result):
                return None
            buffers = [
                GGML["backend_alloc_ctx_tensors_from_buft"](model, order),
                GGML["backend_alloc_ctx_tensors_from_buft"](context, self.plain),
            ]
            set_bytes(weights, product.packed)
            set_bytes(activations, product.activations)
            graph = GGML["new_graph"](context)
            GGML["build_forward_expand"](graph, result)
            assert GGML["backend_graph_compute"](self.backend, graph) == 0
            found = np.empty((batch, rows), np.float32)
            GGML["backend_tensor_get"](result, found.ctypes.data, 0, found.nbytes)
            for buffer in buffers:
                GGML["backend_buffer_free"](buffer)
            return found
        finally:
            GGML["free"](model), GGML["free"](context)

    def _takes(self, order: int, weights: ctypes._Pointer[Tensor], result: ctypes._Pointer[Tensor]) -> bool:
        """Ask as llama.cpp does when it loads a model: with an empty buffer in that order."""
        empty = GGML["backend_buft_alloc_buffer"](order, 0)
        weights.contents.buffer = empty
        taken = GGML["backend_dev_supports_op"](self.device, result)
        weights.contents.buffer = None
        GGML["backend_buffer_free"](empty)
        return bool(taken)


def set_bytes(tensor: ctypes._Pointer[Tensor], values: npt.NDArray[np.generic]) -> None:
    """Copy values to a tensor."""
    GGML["backend_tensor_set"](tensor, values.ctypes.data, 0, values.nbytes)


def products() -> Iterator[tuple[str, Product]]:
    """Return products with their names."""
    random = np.random.default_rng(SEED)
    for name in TYPES:
        print(f"products of {name} ...", flush=True)
        kind = GGMLQuantizationType[name]
        for rows, depth in SHAPES:
            block, size = quants.GGML_QUANT_SIZES[kind]
            if depth % block:
                continue
            weights = random.standard_normal((rows, depth), dtype=np.float32) + np.float32(0.1)
            packed = np.empty((rows, depth // block * size), np.uint8)
            GGML["quantize_chunk"](kind, weights.ctypes.data, packed.ctypes.data, 0, rows, depth, None)
            numbers = quants.dequantize(packed, kind).astype(np.float64)
            for batch in BATCHES:
                activations = random.standard_normal((batch, depth), dtype=np.float32)
                yield f"{name} {rows}x{depth}, {batch}", Product(kind, packed, activations, activations @ numbers.T)


def load_backends() -> Mapping[str, Backend]:
    """Load the backends that this CPU can run, the baseline first."""
    libraries = {path.name[len(PREFIX) : -len(".so")]: path for path in sorted(LIBRARIES.glob(f"{PREFIX}*.so"))}
    loaded = {name: GGML["backend_load"](os.fsencode(path)) for name, path in libraries.items()}
    return {name: Backend(registered) for name, registered in loaded.items() if registered}


def compare_products(backends: Mapping[str, Backend]) -> tuple[int, float, Sequence[str]]:
    """Return how many products were compared, the largest error as a part of its limit, and what is wrong."""
    (_, baseline), *others = backends.items()
    count, worst, wrong = 0, 0.0, []
    for name, product in products():
        limit = 2 * max(product.error(found) for _, found in baseline.multiply(product)) + 1e-6
        for of, backend in others:
            for order, found in backend.multiply(product):
                error = product.error(found) / limit
                count, worst = count + 1, max(worst, error)
                if not error <= 1:
                    wrong.append(f"{name}, {of}, {order}: {error:.2f} of its limit")
    return count, worst, wrong


def convert(model: Path, out: Path, kind: int) -> None:
    """Write a model in another type."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.allow_requantize, parameters.nthread = kind, True, THREADS
    assert not llama_cpp.llama_model_quantize(os.fsencode(model), os.fsencode(out), ctypes.byref(parameters))


def write_logits(model: Path, out: Path) -> None:
    """Write the logits of PROMPT's tokens, from one batch and token by token."""
    loaded = llama_cpp.Llama(
        str(model), n_ctx=64, n_batch=64, n_threads=THREADS, n_threads_batch=THREADS, logits_all=True, verbose=False
    )
    tokens = loaded.tokenize(PROMPT.encode())[:TOKENS]
    assert len(tokens) == TOKENS, len(tokens)
    loaded.eval(tokens)
    batch = loaded.scores[:TOKENS].copy()
    loaded.reset()
    for token in tokens:
        loaded.eval([token])
    np.save(out, np.stack([batch, loaded.scores[:TOKENS]]))


def logits_of(backend: str, model: Path, folder: Path) -> npt.NDArray[np.float64]:
    """Return a model's logits by one backend: the process finds no other."""
    libraries, out = folder / backend, folder / f"{backend}.npy"
    shutil.copytree(LIBRARIES, libraries, ignore=shutil.ignore_patterns(f"{PREFIX}*"), dirs_exist_ok=True)
    shutil.copy(LIBRARIES / f"{PREFIX}{backend}.so", libraries)
    variables = os.environ | {"LLAMA_CPP_LIB_PATH": str(libraries)}
    subprocess.run([sys.executable, __file__, str(model), str(out)], env=variables, check=True)
    return np.load(out).astype(np.float64)


def log_probabilities(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def compare_models(names: Sequence[str], folder: Path) -> tuple[dict[str, float], Sequence[str]]:
    """Return the divergence of each type of model and backend, and what is wrong."""
    found, wrong = {}, []
    for kind, number in MODELS.items():
        model = folder / f"{kind}.gguf"
        convert(Path(os.environ["FACTORY_MODEL"]), model, number)
        baseline = log_probabilities(logits_of(names[0], model, folder))
        for name in names[1:]:
            logs = log_probabilities(logits_of(name, model, folder))
            divergence = (np.exp(baseline) * (baseline - logs)).sum(axis=-1).mean(axis=-1)
            found[f"{kind}, {name}"] = float(divergence.max())
            print(
                f"{kind}, {name}: divergence {divergence[0]:.2g} in one batch, {divergence[1]:.2g} by tokens",
                flush=True,
            )
            if not divergence.max() <= DIVERGENCE.get(kind, OTHER_DIVERGENCE):
                wrong.append(f"{kind}, {name}: divergence {divergence.max():.3g}")
        model.unlink()
    return found, wrong


def main() -> int:
    os.environ["GGML_RISCV_IME"] = "1"
    backends = load_backends()
    names = list(backends)
    count, worst, wrong = compare_products(backends)
    print(f"{count} products within {worst:.2f} of their limits", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        divergences, differing = compare_models(names, Path(folder))
    facts = {"backends": names, "products": count, "divergences": divergences}
    largest = max(divergences.values(), default=0.0)
    shown = f"{', '.join(names)}: {count} products within {worst:.2f} of their limits, divergence at most {largest:.2g}"
    Path(os.environ["FACTORY_RESULT"]).write_text(
        json.dumps({"shown": shown, "facts": facts, "tokens": [], "logits": []})
    )
    print("\n".join([*(f"failed: {each}" for each in (*wrong, *differing)), shown]), flush=True)
    return 1 if wrong or differing else 0


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write_logits(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        sys.exit(main())
