"""All kernels of every module that this CPU can run against 64-bit floats, and a sample of vLLM's own tests.

Modules that it cannot run must be refused. FACTORY_RESULT names the JSON file to write. Environment: MODULES limits the
modules, separated by spaces.

The tests of vLLM are here and not beside the checks: what is there is part of the wheel's content key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import pytest
import vllm
from checks.modules import load, refused, run_with, runnable
from checks.run import WHOLE, run

SOURCE = Path("/build/src/tests")
COPY = Path("/build/upstream")
SEED = 0
SECONDS = 900  # for one test, under emulation
# Files below tests/ -> one test of so many is run, chosen by the hash of its name, and one of each function at least.
SAMPLES = {
    "kernels/attention/test_cpu_attn.py": 60,
    "kernels/attention/test_mla_decode_cpu.py": 2,
    "kernels/core/test_cpu_activation.py": 5,
    "kernels/core/test_layernorm.py": 12,
    "kernels/core/test_rotary_embedding.py": 10,
    "kernels/mamba/cpu/test_cpu_gdn_ops.py": 8,
    "kernels/mamba/test_cpu_short_conv.py": 1,
    "kernels/moe/test_cpu_fused_moe.py": 12,
    "kernels/moe/test_cpu_int4_moe.py": 4,
    "kernels/moe/test_cpu_quant_fused_moe.py": 8,
    "kernels/quantization/test_cpu_fp8_quant.py": 8,
    "kernels/test_awq_int4_to_int8.py": 2,
    "kernels/test_cpu_fused_sampling.py": 3,
    "quantization/test_cpu_wna16.py": 1,
}
# Replacements in the copied files: under emulation, upstream's sizes take many minutes for a test.
CHANGES = {
    "kernels/attention/test_cpu_attn.py": (
        ("NUM_BLOCKS = [\n    1024,\n]", "NUM_BLOCKS = [\n    32,\n]"),
        ("(2345, 2345)", "(293, 293)"),
        ("(134, 5131)", "(17, 642)"),
        ("(992, 2456)", "(124, 307)"),
        ("(98, 1145)", "(12, 143)"),
        ("[1, 4, 678, 2367, 145, 4162, 36, 7812]", "[1, 4, 85, 296, 19, 521, 5]"),
        # The module without vectors has no kernels for them on RISC-V either.
        (
            'current_platform.get_cpu_architecture() != CpuArchEnum.RISCV,\n    reason="Not a RISC-V CPU."',
            'not torch.ops._C.cpu_attn_has_isa("rvv"),\n    reason="No kernels for RVV."',
        ),
        # Patch 0051: FP8 without vectors of 512 bits.
        (
            "is_fp8 and current_platform.get_cpu_architecture() != CpuArchEnum.X86:",
            'is_fp8 and isa != "vec":',
        ),
        ("FP8 KV cache only supported on x86", "FP8 KV cache only by vec"),
        (
            '    current_platform.get_cpu_architecture() != CpuArchEnum.X86,\n    reason="FP8',
            '    False,\n    reason="FP8',
        ),
    ),
    "kernels/core/test_cpu_activation.py": (("D = [512, 2048]", "D = [512, 1024]"),),
    # These two are written for GPUs; vLLM's CPU kernels take multiples of 8.
    "kernels/core/test_layernorm.py": (
        ("NUM_TOKENS = [7, 83, 4096]", "NUM_TOKENS = [7, 83]"),
        ("HIDDEN_SIZES = [8, 768, 769, 5120, 5125, 8192]", "HIDDEN_SIZES = [8, 768]"),
        ('f"cuda:{i}" for i in range(1 if torch.accelerator.device_count() == 1 else 2)', '"cpu"'),
    ),
    "kernels/core/test_rotary_embedding.py": (
        ('parametrize("device", ["cuda"])', 'parametrize("device", ["cpu"])'),
        ('parametrize("seq_len", [11, 1024])', 'parametrize("seq_len", [11, 64])'),
    ),
    "kernels/moe/test_cpu_fused_moe.py": (
        ("HIDDEN_DIM = [128, 2880]", "HIDDEN_DIM = [128, 288]"),
        ("INTERMEDIATE_DIM = [128, 2880]", "INTERMEDIATE_DIM = [128, 288]"),
        ("BATCH_SIZE = [1, 64, 256]", "BATCH_SIZE = [1, 64]"),
    ),
    "kernels/test_cpu_fused_sampling.py": (
        # Here _C is the name of the module without vectors, and another one may be loaded.
        ("import vllm._C  # noqa: F401, E402\n", ""),
        ("vocab, n_samples, batch = 8192, 16384, 256", "vocab, n_samples, batch = 8192, 2048, 256"),
        ("for _ in range(50):", "for _ in range(5):"),
        # SciPy has no riscv64 wheels: the same probabilities by torch.
        ("        from scipy.stats import chi2 as chi2_dist\n\n", ""),
        (
            "1.0 - chi2_dist.cdf(chi2.item(), dof)",
            "torch.special.gammaincc(torch.tensor(dof / 2), chi2 / 2).item()",
        ),
        ("        from scipy.stats import chisquare\n\n", ""),
        (
            "_, p_value = chisquare(counts[:-1].numpy(), (probs[:-1] * n_samples).numpy())",
            "expected = probs[:-1] * n_samples\n"
            "        chi2 = ((counts[:-1] - expected) ** 2 / expected).sum()\n"
            "        p_value = torch.special.gammaincc(torch.tensor(2.0).double(), chi2 / 2).item()",
        ),
    ),
}
# Tests that are not run, by a pattern of their names -> why.
LEFT_OUT = {
    r"test_layernorm\.py::test_fused_rms_norm_quant": "their operators are those of GPUs",
    r"::test_cpu_fused_moe_unaligned_intermediate_size\[.*\brvv\b": "the test's table of classes lacks rvv",
}
# Tests that fail, by the end of their names -> why. One that passes is a failure.
KNOWN: dict[str, str] = {}
CONFTEST = """
import pytest
import torch

@pytest.fixture
def default_vllm_config():
    from vllm.config import VllmConfig, set_current_vllm_config
    config = VllmConfig()
    with set_current_vllm_config(config):
        yield config

# Layers that are not split among processes need no group.
@pytest.fixture
def dist_init():
    yield

@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed({seed})
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
"""


class Sample:
    """A pytest plugin that selects the sample, limits tests' time, and keeps outcomes."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if not is_left_out(item)]
        chosen = sample_of([item.nodeid for item in kept])
        items[:] = [item for item in kept if item.nodeid in chosen]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> object:
        signal.alarm(SECONDS)
        try:
            return (yield)
        finally:
            signal.alarm(0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome
            if report.failed:
                self.reasons[report.nodeid] = report.longreprtext[-2000:]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcomes[report.nodeid] = "failed"
            self.reasons[report.nodeid] = report.longreprtext[-2000:]


def sample_of(tests: Sequence[str]) -> set[str]:
    """Return the sample of tests: one of so many, and at least one of each function."""
    chosen = {test for test in tests if is_chosen(test)}
    functions = {test.partition("[")[0] for test in chosen}
    for test in sorted(tests, key=number_of):
        if (function := test.partition("[")[0]) not in functions:
            functions.add(function)
            chosen.add(test)
    return chosen


def is_chosen(test: str) -> bool:
    """Report whether a test is one of so many of its file."""
    file = test.partition("tests/")[2].partition("::")[0] or test.partition("::")[0]
    return number_of(test) % SAMPLES.get(file, 1) == 0


def number_of(test: str) -> int:
    """Return a number that depends on a test's name alone."""
    return int(hashlib.sha256(test.partition("::")[2].encode()).hexdigest(), 16)


def is_left_out(item: pytest.Item) -> bool:
    """Report whether a test has no operators here, or generates text with a model, which it downloads."""
    return "vllm_runner" in getattr(item, "fixturenames", ()) or any(re.search(each, item.nodeid) for each in LEFT_OUT)


def copy_tests() -> None:
    """Copy the tests out of the source, with fixtures that need no models.

    The source's own modules must not be imported.
    """
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(SOURCE, COPY / "tests")
    for conftest in (COPY / "tests").rglob("conftest.py"):
        conftest.unlink()
    (COPY / "tests/conftest.py").write_text(CONFTEST.format(seed=SEED))
    (COPY / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    for file, changes in CHANGES.items():
        path = COPY / "tests" / file
        text = path.read_text()
        for old, new in changes:
            assert old in text, f"{file}: {old!r} is not there"
            text = text.replace(old, new)
        path.write_text(text)


def run_upstream() -> tuple[Counter[str], dict[str, str]]:
    """Run the sample of vLLM's own tests.

    Returns their number by outcome, and unexpected failures with reasons.
    """

    def expired(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it takes more than {SECONDS} s")

    copy_tests()
    signal.signal(signal.SIGALRM, expired)
    sample = Sample()
    files = [str(COPY / "tests" / file) for file in SAMPLES if (COPY / "tests" / file).is_file()]
    options = [
        "-v",
        "-rs",
        "--durations=20",
        "--tb=short",
        f"--rootdir={COPY}",
        "-c",
        str(COPY / "pytest.ini"),
        "-W",
        "ignore",
    ]
    status = pytest.main([*options, *files], plugins=[sample])
    failed = unexpected(sample)
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        failed["pytest"] = f"it ended early, with {status!r}"
    failed |= {file: "it is not in the source" for file in SAMPLES if not (COPY / "tests" / file).is_file()}
    return Counter(sample.outcomes.values()), failed


def unexpected(sample: Sample) -> dict[str, str]:
    """Return failures that are not known, and known ones that pass, with reasons."""
    failed = {test: reason for test, reason in sample.reasons.items() if not is_known(test)}
    passed = [test for test, outcome in sample.outcomes.items() if outcome == "passed" and is_known(test)]
    return {**failed, **dict.fromkeys(passed, "passes, although it is known to fail")}


def is_known(test: str) -> bool:
    """Report whether a test is known to fail."""
    return any(test.endswith(end) for end in KNOWN)


def sample() -> Mapping[str, object]:
    """Run all checks of kernels with the module of this process."""
    report = run(WHOLE)
    return {"checked": report.checked, "worst": report.worst, "failures": report.failures}


def main() -> int:
    failures, shown, results = [], [], {}
    for isa in os.environ.get("MODULES", "").split() or runnable():
        print(f"module {isa} ...", flush=True)
        try:
            result = run_with(isa, sample)
        except ChildProcessError as error:
            failures.append(f"{isa}: {error}")
            continue
        failures += [f"{isa}: {name}: {reason}" for name, reason in result["failures"].items()]
        results[isa] = result["checked"]
        shown.append(f"{isa}: {result['checked']} results within {result['worst']:.2f}")
    facts: dict[str, object] = {"results": results, "refused": refused()}
    shown.append(f"refused: {', '.join(facts['refused']) or 'none'}")
    facts["module"] = load()
    print(f"vLLM's own tests with {facts['module']} ...", flush=True)
    started = time.monotonic()
    counts, failed = run_upstream()
    failures += [f"{test}:\n{reason}" for test, reason in failed.items()]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    shown.append(f"upstream's tests: {outcomes} in {(time.monotonic() - started) / 60:.0f} min")
    result = {"shown": f"vllm {vllm.__version__}: {'; '.join(shown)}", "facts": {**facts, **counts}}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps({**result, "tokens": [], "logits": []}))
    print("\n".join([*(f"failed: {each}" for each in failures), *shown]), flush=True)
    return 1 if failures or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
