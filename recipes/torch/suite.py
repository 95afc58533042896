"""Compile C++ against the installed wheel and run it: an operator by torch's own build, and one by CMake.

Both are compiled once, for the first profile. FACTORY_RESULT names the JSON file to write.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils import cpp_extension

OUT = Path("/build/suite")
# What torch.utils.cpp_extension compiles with: pybind11 in torch's own headers.
EXTENSION = """
#include <torch/extension.h>
torch::Tensor scaled_sum(const torch::Tensor &x, double factor) { return (x * factor).sum(); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("scaled_sum", &scaled_sum); }
"""
# What needs no Python: an operator of the dispatcher.
OPERATOR = """
#include <ATen/ATen.h>
#include <torch/library.h>
at::Tensor scaled_sum(const at::Tensor &x, double factor) { return (x * factor).sum(); }
TORCH_LIBRARY(tiny, m) { m.def("scaled_sum(Tensor x, float factor) -> Tensor", &scaled_sum); }
"""
CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(tiny LANGUAGES CXX)
find_package(Torch REQUIRED)
add_library(tiny MODULE tiny.cpp)
target_link_libraries(tiny PRIVATE ${TORCH_LIBRARIES})
set_target_properties(tiny PROPERTIES CXX_STANDARD 20 PREFIX "")
"""


def extension() -> str:
    """torch.utils.cpp_extension compiles, links and loads a module; the second profile finds it compiled."""
    folder = OUT / "extension"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "tiny_extension.cpp"
    if not source.is_file():
        source.write_text(EXTENSION)
    module = cpp_extension.load("tiny_extension", [str(source)], build_directory=str(folder), verbose=True)
    assert module.scaled_sum(torch.arange(4.0), 0.5).item() == 3.0
    return "torch.utils.cpp_extension"


def operator() -> str:
    """CMake finds Torch in the wheel and links an operator against it."""
    folder, library = OUT / "operator", OUT / "operator/build/tiny.so"
    if not library.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.cpp").write_text(OPERATOR)
        (folder / "CMakeLists.txt").write_text(CMAKE)
        prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
        configure = ["cmake", "-S", folder, "-B", folder / "build", prefix, "-DCMAKE_BUILD_TYPE=Release"]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", folder / "build"], check=True)
    torch.ops.load_library(library)
    assert torch.ops.tiny.scaled_sum(torch.arange(4.0), 0.5).item() == 3.0
    return "find_package(Torch)"


CHECKS: tuple[Callable[[], str], ...] = (extension, operator)


def run(check: Callable[[], str]) -> str:
    """One check, announced and timed."""
    started = time.monotonic()
    print(f"{check.__name__} ...", flush=True)
    found = check()
    print(f"{check.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    return found


def main() -> None:
    # ninja and cmake are programs of the environment that this Python is of.
    os.environ["PATH"] = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    found = [run(check) for check in CHECKS]
    facts = {"version": torch.__version__, "python": sys.version.split()[0]}
    shown = f"C++ compiled and run by {' and '.join(found)}"
    result = {"shown": shown, "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
