"""OpenBLAS for riscv64 as a library: where its parts are, for those who build against it or load it."""

import ctypes
from pathlib import Path

__all__ = [
    "get_corename",
    "get_include_dir",
    "get_lib_dir",
    "get_library",
    "get_openblas_config",
    "get_pkg_config",
    "load",
]

_HERE = Path(__file__).resolve().parent


def get_include_dir() -> str:
    """The folder of cblas.h, f77blas.h and openblas_config.h."""
    return str(_HERE / "include")


def get_lib_dir() -> str:
    """The folder of the shared library."""
    return str(_HERE / "lib")


def get_library(fullname: bool = False) -> str:
    """The library's name for the linker, as in `-lopenblas`, or with `fullname` the name of its file."""
    name = next((_HERE / "lib").glob("libopenblas*.so")).name
    return name if fullname else name.removeprefix("lib").removesuffix(".so")


def get_pkg_config() -> str:
    """The text of a pkg-config file that holds on this machine, wherever it is put."""
    file = next((_HERE / "lib/pkgconfig").glob("*.pc"))
    return file.read_text(encoding="utf-8").replace("${pcfiledir}", str(file.parent))


def load() -> ctypes.CDLL:
    """The library, loaded into this process."""
    return ctypes.CDLL(str(_HERE / "lib" / get_library(fullname=True)))


def get_openblas_config() -> str:
    """What the library says of itself: version, options, the core for this CPU, the largest number of threads."""
    return _text("openblas_get_config")


def get_corename() -> str:
    """The core that the library chose for this CPU."""
    return _text("openblas_get_corename")


def _text(function: str) -> str:
    suffix = get_library().removeprefix("openblas")
    ask = getattr(load(), function + suffix)
    ask.restype = ctypes.c_char_p
    answer: bytes = ask()
    return answer.decode()
