"""Instructions that programs execute for each token of the same language model."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from factory.bench.instructions.classes import Counts, classify
from factory.bench.instructions.counter import count_instructions
from factory.bench.instructions.trace import Instruction
from factory.errors import FactoryError
from factory.model.protocols import INPUTS, Command, Sandbox
from factory.model.target import ALL_PROFILES, PYTHONS
from factory.pipeline.check import PackageCheck, stored_needs
from factory.pipeline.run import Run
from factory.pipeline.unstored import copy_newest_wheel
from factory.util.log import LogSink
from factory.util.scratch import own_folder
from factory.util.untrusted import UntrustedFolder

VLLM = "vllm"
SCRIPT = "tokens.py"  # of vLLM's recipe
ANSWER = "answer"
# Programs by recipes in whose roots they run, with their Pythons. The script knows them by these names.
PACKAGES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("llama-cpp-python", PYTHONS[0]): ("llama.cpp Q4_1",),
    (VLLM, "3.14"): (
        "transformers float32",
        "transformers bfloat16",
        "vLLM float32",
        "vLLM bfloat16",
        "vLLM float16",
        "vLLM W4A16",
    ),
}
SYSTEMS = tuple(system for each in PACKAGES.values() for system in each)
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
# Parts of a process by the names of its files, first match; what matches none is "rest".
KERNELS, TORCH, PYTHON, REST = "kernels", "PyTorch", "Python", "rest"
PARTS = {
    KERNELS: re.compile(r"/_C(_RVV\w+)?\.abi3\.so$|/libggml[^/]*$|/lib(scipy_)?openblas[^/]*$|openblas"),
    TORCH: re.compile(r"/torch/|/libtorch|/libc10"),
    PYTHON: re.compile(r"/python3[^/]*$|/libpython3|\.cpython-[^/]*\.so$|/lib-dynload/"),
}
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(/.+)")


class Answer(msgspec.Struct, frozen=True):
    """Answer of the script in the root."""

    tokens: tuple[int, ...]
    maps: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Instructions of some tokens by one program on one profile, by part of the process."""

    system: str
    profile: str
    tokens: tuple[int, ...]
    counted: int
    parts: Mapping[str, Counts]

    @property
    def per_token(self) -> Mapping[str, float]:
        """Instructions of a token by part."""
        return {part: counts.total / self.counted for part, counts in self.parts.items()}

    @property
    def weighted(self) -> float:
        """Instructions of a token, with vector instructions counted once per register."""
        return sum(counts.weighted for counts in self.parts.values()) / self.counted


def measure(systems: Sequence[str], profiles: Sequence[str], count: int, run: Run) -> Iterator[Measurement]:
    """Count `count` tokens by each program on each profile.

    Raises:
        StoreError: a package is not built.
        FactoryError: a program failed, or QEMU's log is incomplete.
    """
    for (name, python), programs in PACKAGES.items():
        if chosen := [system for system in programs if system in systems]:
            with _root(name, python, profiles, run) as (sandbox, model, log):
                for system in chosen:
                    yield from (_count(sandbox, system, profile, count, model, log) for profile in profiles)


@contextmanager
def _root(name: str, python: str, profiles: Sequence[str], run: Run) -> Iterator[tuple[Sandbox, str, LogSink]]:
    """Open a root as a package's check has it on `profiles`, with the script.

    It also yields the model's path there.
    """
    recipe = run.recipes.find(name)
    chosen = run.with_config(run.config.for_python(python, recipe.toolchain))
    check = PackageCheck(recipe=recipe, run=chosen)
    with (
        own_folder(run.layout.scratch, "bench", name, keep=run.keep) as folder,
        chosen.stages(recipe.label_for(python))("count tokens") as log,
    ):
        wheel = copy_newest_wheel(recipe, chosen, folder / "wheel")
        needs = stored_needs(recipe, chosen)
        with check.opened_for_person(wheel, needs, folder, profiles, log) as (sandbox, model):
            assert model is not None  # both recipes name one
            shutil.copy(run.recipes.find(VLLM).directory / SCRIPT, sandbox.inputs)
            path = f"{INPUTS}/{model.name}"
            if name == VLLM:
                sandbox.run(Command(_command("models"), env={"FACTORY_MODEL": path}), log=log)
            yield sandbox, path, log


def _count(sandbox: Sandbox, system: str, profile: str, count: int, model: str, log: LogSink) -> Measurement:
    argv, cpu = _command(system, str(count)), ALL_PROFILES[profile].qemu_cpu
    env = {**ENVIRONMENT, "FACTORY_MODEL": model}
    counts = count_instructions(sandbox, argv, log=log, cpu=cpu, env=env, windows=True)
    answer = msgspec.json.decode(UntrustedFolder(sandbox.work).read_text(ANSWER), type=Answer)
    if not counts:
        raise FactoryError(f"{system} on {profile}: cannot count: QEMU's log has no block between the stops")
    return Measurement(
        system=system, profile=profile, tokens=answer.tokens, counted=count, parts=by_part(counts, answer.maps)
    )


def _command(*arguments: str) -> list[str]:
    return ["python", f"{INPUTS}/{SCRIPT}", *arguments]


def by_part(counts: Mapping[Instruction, int], maps: str) -> Mapping[str, Counts]:
    """Split counts by the parts of a process, from its memory mappings."""
    spans = [(int(low, 16), int(high, 16), part_of(path)) for low, high, path in MAPPING.findall(maps)]
    found: dict[str, Counter[Instruction]] = {part: Counter() for part in (*PARTS, REST)}
    for instruction, count in counts.items():
        at = instruction.address
        part = next((part for low, high, part in spans if low <= at < high), REST)
        found[part][instruction] += count
    return {part: classify(each) for part, each in found.items()}


def part_of(path: str) -> str:
    """Name the part of a process that a file belongs to."""
    return next((part for part, pattern in PARTS.items() if pattern.search(path)), REST)
