"""Compile C++ against the installed wheel, by torch's own build and by CMake, and run it; then some of torch's tests.

C++ is compiled once, for the first profile. The tests are those of the source, where it has them: of each file every so
many, chosen by the hash of their names, so that it is the same ones each time.

FACTORY_RESULT names the JSON file to write.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator
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


TESTS = Path("/build/src/test")
SAMPLES = {"test_torch": 12, "test_autograd": 8, "test_ops": 200}
SECONDS = 180  # for one test, under emulation
# What fails here, and why.
KNOWN = {
    "test_torch.TestTorchDeviceTypeCPU.test_bytes_to_scalar_cpu_float32": (
        "one of its random values is a NaN, of which RISC-V's conversion to 64 bits and back keeps nothing else"
    ),
}


def extension() -> str:
    """torch.utils.cpp_extension compiles, links and loads a module; the second profile finds it compiled."""
    folder = OUT / "extension"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "tiny_extension.cpp"
    if not source.is_file():
        source.write_text(EXTENSION)
    module = cpp_extension.load("tiny_extension", [str(source)], build_directory=str(folder), verbose=True)
    assert module.scaled_sum(torch.arange(4.0), 0.5).item() == 3.0
    return "C++ by torch.utils.cpp_extension"


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
    return "C++ by find_package(Torch)"


class Limited(unittest.TextTestResult):
    """Gives each test so many seconds."""

    def startTest(self, test: unittest.TestCase) -> None:
        signal.alarm(SECONDS)
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        signal.alarm(0)
        super().stopTest(test)


def all_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for each in suite:
        yield from all_of(each) if isinstance(each, unittest.TestSuite) else (each,)


def run_sample(module: str, report: Path) -> None:
    """Run what is chosen of a file's tests, and write how they ended."""

    def expired(*_: object) -> None:
        raise TimeoutError(f"it takes more than {SECONDS} s")

    signal.signal(signal.SIGALRM, expired)
    sys.path.insert(0, str(TESTS))
    tests = [test for test in all_of(unittest.defaultTestLoader.loadTestsFromName(module)) if is_chosen(test, module)]
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Limited)
    result = runner.run(unittest.TestSuite(tests))
    failed = {test.id(): text for test, text in [*result.failures, *result.errors]}
    skipped = len(result.skipped) + len(result.expectedFailures)
    passed = result.testsRun - skipped - len(failed)
    report.write_text(json.dumps({"passed": passed, "skipped": skipped, "failed": failed}))


def is_chosen(test: unittest.TestCase, module: str) -> bool:
    """Whether a test is of the sample; what unittest puts in the place of a file that it can't import always is."""
    if type(test).__name__ == "_FailedTest":
        return True
    return int(hashlib.sha256(test.id().encode()).hexdigest(), 16) % SAMPLES[module] == 0


def own_tests() -> str:
    """The sample passes but for known failures; each file has a process of its own, since it changes what is global."""
    if not TESTS.is_dir():
        assert torch.__version__.endswith("+debian"), "the source has tests, and they are not here"
        return "no tests, which the source has not"
    passed, failed = 0, {}
    for module in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.json")
            subprocess.run([sys.executable, __file__, module, str(report)], check=True, cwd=TESTS)
            found = json.loads(report.read_text())
        assert found["passed"], f"{module}: no test passed: {found}"
        passed += found["passed"]
        failed |= found["failed"]
        ended = f"{found['passed']} passed, {found['skipped']} skipped, {len(found['failed'])} failed"
        print(f"{module}: {ended}", flush=True)
    unexpected = [f"{name}:\n{reason}" for name, reason in failed.items() if name not in KNOWN]
    assert not unexpected, "\n".join(unexpected)
    for name in failed:
        print(f"known to fail: {name}: {KNOWN[name]}", flush=True)
    return f"{passed} of torch's own tests" + (f" ({len(failed)} known to fail)" if failed else "")


CHECKS: tuple[Callable[[], str], ...] = (extension, operator, own_tests)


def run(check: Callable[[], str]) -> str:
    """One check, announced and timed."""
    started = time.monotonic()
    print(f"{check.__name__} ...", flush=True)
    found = check()
    print(f"{check.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    return found


def main() -> None:
    if len(sys.argv) > 1:
        module, report = sys.argv[1:]
        # torch's tests read this too, and run only those of the file that it says.
        sys.argv[:] = [str(TESTS / f"{module}.py")]
        run_sample(module, Path(report))
        return
    # ninja and cmake are programs of the environment that this Python is of.
    os.environ["PATH"] = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    found = [run(check) for check in CHECKS]
    facts = {"version": torch.__version__, "python": sys.version.split()[0]}
    shown = f"passed: {', '.join(found)}"
    result = {"shown": shown, "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
