"""What `factory bench instructions llama-cpp-python` counts: ggml's kernels, by the CPU backend that it chooses itself.

`vec_dot` is one row of weights times one of activations, as when single tokens are generated; `mul_mat` is a matrix
times a batch, as when a prompt is read, with the weights repacked where ggml has such a kernel for the CPU.
"""

from __future__ import annotations

import ctypes
import math
import os
from array import array
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

TYPES = {"q4_0": 2, "q8_0": 8, "q4_K": 12}  # enum ggml_type
F32 = 0
LENGTH = 4096  # of vec_dot's rows
INNER, ROWS, BATCH = 1024, 64, 16  # of mul_mat
# Of the product of the norms: far above what quantized activations lose, far below what any mistake does.
TOLERANCE = 0.005
Call = Callable[[], object]


class InitParams(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = (("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool))


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


class Symbol(ctypes.Structure):
    """Dl_info of <dlfcn.h>."""

    _fields_ = (("file", c_char_p), ("base", c_void_p), ("name", c_char_p), ("address", c_void_p))


class Ggml:
    """ggml's libraries, with the backend that they choose for this CPU."""

    def __init__(self) -> None:
        spec = find_spec("llama_cpp")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        folder = Path(spec.submodule_search_locations[0]) / "lib"
        self.base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        ggml = ctypes.CDLL(str(folder / "libggml.so"))
        os.environ["GGML_RISCV_IME"] = "1"  # of the profiles, k1-ime alone has these instructions
        for function in ("ggml_init", "ggml_new_tensor_2d", "ggml_mul_mat", "ggml_new_graph", "ggml_backend_dev_init"):
            self._returns_pointer(self.base, function)
        for function in ("ggml_backend_reg_dev_get", "ggml_backend_reg_get_proc_address"):
            self._returns_pointer(self.base, function)
        for function in ("ggml_backend_alloc_ctx_tensors_from_buft", "ggml_backend_alloc_ctx_tensors"):
            self._returns_pointer(self.base, function)
        self._returns_pointer(ggml, "ggml_backend_reg_by_name")
        self.base.ggml_get_type_traits.restype = POINTER(Traits)
        self.base.ggml_backend_dev_supports_op.restype = c_bool
        for function in ("ggml_tensor_overhead", "ggml_graph_overhead", "ggml_quantize_chunk"):
            getattr(self.base, function).restype = c_size_t
        ggml.ggml_backend_load_all_from_path(os.fsencode(folder))
        registered = c_void_p(ggml.ggml_backend_reg_by_name(b"CPU"))
        symbol = Symbol()
        assert ctypes.CDLL(None).dladdr(registered, ctypes.byref(symbol)), "no CPU backend is registered"
        self.cpu = ctypes.CDLL(os.fsdecode(symbol.file))
        self.cpu.ggml_get_type_traits_cpu.restype = POINTER(CpuTraits)
        self.device = c_void_p(self.base.ggml_backend_reg_dev_get(registered, c_size_t(0)))
        self.extra_buffer_types = ctypes.CFUNCTYPE(POINTER(c_void_p), c_void_p)(
            self.base.ggml_backend_reg_get_proc_address(registered, b"ggml_backend_dev_get_extra_bufts")
        )

    @staticmethod
    def _returns_pointer(library: ctypes.CDLL, function: str) -> None:
        getattr(library, function).restype = c_void_p

    def context(self) -> c_void_p:
        """A context for a few tensors and a graph, without their data."""
        size = 8 * self.base.ggml_tensor_overhead() + self.base.ggml_graph_overhead()
        return c_void_p(self.base.ggml_init(InitParams(size, None, True)))

    def quantized(self, kind: int, values: array[float], columns: int) -> ctypes.Array[ctypes.c_char]:
        """The values, rows of so many columns, in ggml's type `kind`."""
        rows = len(values) // columns
        out = ctypes.create_string_buffer(4 * len(values))
        used = self.base.ggml_quantize_chunk(
            kind, address(values), out, c_int64(0), c_int64(rows), c_int64(columns), None
        )
        return ctypes.create_string_buffer(out.raw[:used], used)

    def floats(self, kind: int, data: ctypes.Array[ctypes.c_char], count: int) -> array[float]:
        """What quantized values stand for."""
        found = array("f", bytes(4 * count))
        self.base.ggml_get_type_traits(kind).contents.to_float(ctypes.addressof(data), address(found), count)
        return found


@cache
def ggml() -> Ggml:
    return Ggml()


def address(values: array[float]) -> c_void_p:
    return c_void_p(values.buffer_info()[0])


def numbers(count: int, seed: int) -> array[float]:
    """Floats between -1 and 1, the same ones each time."""
    found, state = array("f"), seed
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        found.append((state >> 8) / (1 << 22) - 1)
    return found


def require_close(seen: float, left: array[float], right: array[float]) -> None:
    exact = math.fsum(a * b for a, b in zip(left, right, strict=True))
    allowed = TOLERANCE * math.hypot(*left) * math.hypot(*right)
    assert abs(seen - exact) <= allowed, f"a dot product is {seen}, and should be {exact} +- {allowed}"


def vec_dot(kind: int) -> Call:
    library = ggml()
    traits = library.cpu.ggml_get_type_traits_cpu(kind).contents
    values, activations = numbers(LENGTH, 1), numbers(LENGTH, 2)
    weights = library.quantized(kind, values, LENGTH)
    quantized = ctypes.create_string_buffer(4 * LENGTH)
    into = library.cpu.ggml_get_type_traits_cpu(traits.vec_dot_type).contents
    into.from_float(address(activations), ctypes.addressof(quantized), LENGTH)
    result = c_float()

    def call() -> None:
        traits.vec_dot(
            LENGTH, ctypes.addressof(result), 0, ctypes.addressof(weights), 0, ctypes.addressof(quantized), 0, 1
        )

    call()
    require_close(result.value, library.floats(kind, weights, LENGTH), activations)
    return call


def mul_mat(kind: int) -> Call:
    library = ggml()
    base = library.base
    backend = c_void_p(base.ggml_backend_dev_init(library.device, None))
    library.cpu.ggml_backend_cpu_set_n_threads(backend, 1)
    values, activations = numbers(ROWS * INNER, 1), numbers(BATCH * INNER, 2)
    data = library.quantized(kind, values, INNER)
    context = library.context()
    inputs = c_void_p(base.ggml_new_tensor_2d(context, F32, c_int64(INNER), c_int64(BATCH)))
    weights, result = repacked(library, kind, context, inputs) or plain(library, kind, context, inputs)
    assert base.ggml_backend_alloc_ctx_tensors(context, backend)
    graph = c_void_p(base.ggml_new_graph(context))
    base.ggml_build_forward_expand(graph, result)
    base.ggml_backend_tensor_set(weights, data, c_size_t(0), c_size_t(len(data)))
    base.ggml_backend_tensor_set(inputs, address(activations), c_size_t(0), c_size_t(4 * len(activations)))

    def call() -> None:
        assert base.ggml_backend_graph_compute(backend, graph) == 0

    call()
    products = array("f", bytes(4 * ROWS * BATCH))
    base.ggml_backend_tensor_get(result, address(products), c_size_t(0), c_size_t(4 * len(products)))
    rows = library.floats(kind, data, ROWS * INNER)
    for row, column in ((0, 0), (17, 5), (ROWS - 1, BATCH - 1)):
        require_close(
            products[column * ROWS + row],
            rows[row * INNER : (row + 1) * INNER],
            activations[column * INNER : (column + 1) * INNER],
        )
    return call


def repacked(library: Ggml, kind: int, context: c_void_p, inputs: c_void_p) -> tuple[c_void_p, c_void_p] | None:
    """The weights where ggml repacks them, and their product, if it has a kernel for that here."""
    for buffer_type in library.extra_buffer_types(library.device):
        if not buffer_type:
            return None
        own = library.context()
        weights = c_void_p(library.base.ggml_new_tensor_2d(own, kind, c_int64(INNER), c_int64(ROWS)))
        assert library.base.ggml_backend_alloc_ctx_tensors_from_buft(own, c_void_p(buffer_type))
        result = c_void_p(library.base.ggml_mul_mat(context, weights, inputs))
        if library.base.ggml_backend_dev_supports_op(library.device, result):
            return weights, result
    return None


def plain(library: Ggml, kind: int, context: c_void_p, inputs: c_void_p) -> tuple[c_void_p, c_void_p]:
    weights = c_void_p(library.base.ggml_new_tensor_2d(context, kind, c_int64(INNER), c_int64(ROWS)))
    return weights, c_void_p(library.base.ggml_mul_mat(context, weights, inputs))


CASES: Mapping[str, Callable[[], Call]] = {
    **{f"vec_dot {name} {LENGTH}": partial(vec_dot, kind) for name, kind in TYPES.items()},
    **{f"mul_mat {name} {ROWS}x{INNER}x{BATCH}": partial(mul_mat, kind) for name, kind in TYPES.items()},
}
