"""Runs a language model under QEMU: user mode and system mode, with and without vectors, and keeps what it measured."""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from factory.bench.extra import require_library
from factory.bench.qemu.llama_completion import LIMITED, Request, Timings, read_timings
from factory.bench.qemu.model_shape import DEEPSEEK_R1_DISTILL_QWEN_1_5B, ModelShape, chosen_types
from factory.bench.virtual_machine import DISKS, MOUNT, Hardware, VirtualMachine, virtual_machine
from factory.errors import CommandFailed
from factory.model.artifacts import PackagePin
from factory.model.protocols import BUILD, Command, Sandbox
from factory.model.target import PROFILES, PYTHONS
from factory.pipeline.build import build
from factory.pipeline.job_slots import processors
from factory.pipeline.run import Run
from factory.stages.environments.layers import Layer, content_key, ensure_layer
from factory.stages.environments.roots import native_layer
from factory.stages.sources.registry import download_model
from factory.util.atomic_files import copy_atomically, sha256_of
from factory.util.jsonio import load, save, timestamp
from factory.util.log import LogSink, Recording
from factory.util.scratch import own_folder

TOOLS = "llama-cpp-tools"
PROGRAMS = "llama_cpp_tools/bin"
# The types of the published experiment's model, and the control: a small model with its trained weights.
RANDOM = ("Q2_K", "Q8_0")
CONTROL = "SmolLM2"
CONTROL_PIN = "smollm2-135m-instruct-q4_1"
MODELS = (*RANDOM, CONTROL)
MODES = ("user", "system")
MODEL_STEPS = 1
# A machine's memory beside the model: the kernel, the root's programs and the context.
MACHINE_BYTES = 2 << 30
# A boot takes 10 s where the processors are free. Then the model is loaded, which the time limit doesn't count.
BOOT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination to measure: `mode` is one of MODES, `profile` of PROFILES, `model` of MODELS."""

    mode: str
    profile: str
    model: str

    def __str__(self) -> str:
        return f"{self.mode} mode, {self.profile}, {self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A cell, what was asked of it, what it showed, and on which machine; `seconds` are those of the whole run."""

    cell: Cell
    request: Request
    timings: Timings
    seconds: float
    machine: str
    finished: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's file, and what tells it from others."""

    path: Path
    key: str


class Bench:
    """Measures cells with llama.cpp's programs out of the wheel `tools`; all else is made when it is wanted.

    `folder` is for what nobody needs afterwards, `shape` that of the models with random weights.
    """

    def __init__(self, run: Run, tools: Path, folder: Path, shape: ModelShape = DEEPSEEK_R1_DISTILL_QWEN_1_5B) -> None:
        self._run = run
        self._tools = tools
        self._folder = folder
        self._shape = shape
        self._stages = run.stages("bench qemu")
        self._models: dict[str, Model] = {}

    def measured(self, cell: Cell, request: Request, *, again: bool = False) -> Measured:
        """The cell's figures: those of an earlier run, unless they are wanted `again`.

        Raises:
            CommandFailed: the model didn't run.
            EnvironmentSetupError: the virtual machine didn't.
        """
        model = self.model(cell.model)
        kept = self._run.layout.benchmarks / f"qemu/{self._key(cell, request, model)}.json"
        if kept.is_file() and not again:
            self._run.reporter.line(f"{cell}: measured before")
            return load(kept, Measured)
        run = {"user": self._run_in_root, "system": self._run_in_machine}[cell.mode]
        with self._stages(str(cell)) as log:
            started = time.monotonic()
            timings = read_timings(run(cell, request, model, log))
            seconds = time.monotonic() - started
        measured = Measured(
            cell=cell, request=request, timings=timings, seconds=seconds, machine=this_machine(), finished=timestamp()
        )
        save(kept, measured)
        return measured

    def model(self, name: str) -> Model:
        """One of MODELS, made or downloaded where it isn't there."""
        if name not in self._models:
            self._models[name] = self._control() if name == CONTROL else self._random(name)
        return self._models[name]

    def _key(self, cell: Cell, request: Request, model: Model) -> str:
        """What the figures depend on, or might. The time limit isn't among it: rates of fewer tokens are as good."""
        emulator = [layer.digest for layer in self._emulator(cell.mode)]
        cpu, tools = PROFILES[cell.profile].qemu_cpu, sha256_of(self._tools)
        asked = asdict(replace(request, seconds=0))
        return content_key([asdict(cell), asked, cpu, emulator, model.key, tools, this_machine()])

    def _emulator(self, mode: str) -> tuple[Layer, ...]:
        user = (native_layer(self._run.layout, self._stages),)
        return self._machine().layers if mode == "system" else user

    def _run_in_root(self, cell: Cell, request: Request, model: Model, log: LogSink) -> str:
        printed = Recording(log)
        command = request.limited(str(BUILD), f"{BUILD}/{PROGRAMS}/llama-completion", f"{BUILD}/{model.path.name}")
        with self._opened() as sandbox:
            copy_atomically(model.path, sandbox.work / model.path.name)
            sandbox.run(Command(command, cpu=PROFILES[cell.profile].qemu_cpu), log=printed)
        return printed.text

    def _run_in_machine(self, cell: Cell, request: Request, model: Model, log: LogSink) -> str:
        hardware = Hardware(
            cpu=PROFILES[cell.profile].qemu_cpu,
            processors=request.threads,
            memory=model.path.stat().st_size + MACHINE_BYTES,
        )
        script = shlex.join(request.limited(MOUNT, f"{MOUNT}/{PROGRAMS}/llama-completion", DISKS[0]))
        seconds = BOOT_SECONDS + request.seconds
        tools = self._unpacked("machine")
        return self._machine().run(tools, script, hardware, disks=[model.path], seconds=seconds, log=log)

    def _machine(self) -> VirtualMachine:
        return virtual_machine(self._run.layout, self._stages)

    @contextmanager
    def _opened(self) -> Iterator[Sandbox]:
        """A clean root with the programs below BUILD."""
        environment = self._run.roots.environment_of(self._run.roots.check_root(PYTHONS[0]))
        with environment.open(self._unpacked("root")) as sandbox:
            yield sandbox

    def _unpacked(self, name: str) -> Path:
        """The wheel, unpacked to a folder of that name; its programs can be run."""
        folder = self._folder / name
        if not folder.is_dir():
            with zipfile.ZipFile(self._tools) as archive:
                archive.extractall(folder)
            for program in (folder / PROGRAMS).iterdir():
                program.chmod(0o755)
            shutil.copy(LIMITED, folder)
        return folder

    def _control(self) -> Model:
        pin = self._run.recipes.models[CONTROL_PIN]
        with self._stages(f"model {CONTROL}") as log:
            return Model(path=download_model(pin, self._run.layout.downloads, log), key=pin.sha256)

    def _random(self, name: str) -> Model:
        """The model with random weights, each tensor of the type that llama-quantize chooses for it."""
        types = self._types(name)
        definition = {"steps": MODEL_STEPS, "shape": asdict(self._shape), "types": types}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            # Imported late: gguf is an optional dependency, and slow to import.
            from factory.bench.qemu.random_model import write_random

            write_random(self._shape, types, tree / f"{name}.gguf")
            return ()

        layer = ensure_layer(self._run.layout.layers, "model", definition, make, self._stages)
        return Model(path=layer.tree / f"{name}.gguf", key=layer.digest)

    def _types(self, name: str) -> dict[str, str]:
        from factory.bench.qemu.random_model import write_unquantized

        with self._stages(f"types of {name}") as log, self._opened() as sandbox:
            printed = Recording(log)
            unquantized = sandbox.work / "unquantized.gguf"
            write_unquantized(self._shape, unquantized)
            quantize = [f"{BUILD}/{PROGRAMS}/llama-quantize", "--dry-run", f"{BUILD}/{unquantized.name}", name]
            sandbox.run(Command(quantize), log=printed)
            unquantized.unlink()
        types = chosen_types(printed.text)
        if types.keys() != self._shape.tensors().keys():
            raise CommandFailed(f"llama-quantize named no type for some tensors; the whole log is {log.path}")
        return types


def measure(cells: Sequence[Cell], request: Request, run: Run, *, again: bool) -> list[Measured]:
    """Measure the cells one after another, building llama.cpp's programs first where they aren't there.

    Raises:
        FactoryError: one failed; what was measured before is kept.
    """
    if any(cell.model in RANDOM for cell in cells):
        require_library("gguf", f"models with random weights ({', '.join(RANDOM)})")
    records = build([TOOLS], PYTHONS[:1], run)
    (tools,) = (record for record in records if record.name == TOOLS)
    with own_folder(run.layout.jobs, "bench", TOOLS, keep=run.keep) as folder:
        bench = Bench(run, run.store.wheel_path(tools), folder)
        return [bench.measured(cell, request, again=again) for cell in cells]


def this_machine() -> str:
    """The processors that measure."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{processors()} x {names[0] if names else platform.machine()}"
