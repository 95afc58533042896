"""Benchmark of QEMU: a language model in user mode and in system mode."""

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
from factory.bench.qemu.llama_completion import TIME_LIMIT, Request, Timings, read_timings
from factory.bench.qemu.model_shape import DEEPSEEK_R1_DISTILL_QWEN_1_5B, ModelShape, read_types
from factory.bench.virtual_machine import DISKS, MOUNT, Hardware, VirtualMachine, virtual_machine
from factory.errors import CommandFailed
from factory.model.artifacts import PackagePin
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.protocols import BUILD, INPUTS, Command, Sandbox
from factory.model.target import PROFILES, PYTHONS
from factory.pipeline.build import build
from factory.pipeline.job_slots import processors
from factory.pipeline.run import Run
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.layers import Layer, LayerStore, content_key
from factory.stages.sources.models import download_model
from factory.util.atomic_files import copy_atomically, sha256_of
from factory.util.jsonio import load, save, timestamp
from factory.util.log import LogSink, Recording
from factory.util.scratch import own_folder

TOOLS = "llama-cpp-tools"
PROGRAMS = "llama_cpp_tools/bin"
# Quantization types of the published experiment's model, and the control, a small model with trained weights.
RANDOM = ("Q2_K", "Q8_0")
CONTROL = "SmolLM2"
CONTROL_PIN = "smollm2-135m-instruct-q4_1"
MODELS = (*RANDOM, CONTROL)
MODES = ("user", "system")
MODEL_STEPS = 1
# A machine's memory in addition to the model: the kernel, the root's programs and the context.
MACHINE_BYTES = 2 << 30
# A boot takes 10 s with idle processors. Loading the model comes on top of the time limit.
BOOT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A combination of one of MODES, one of PROFILES and one of MODELS."""

    mode: str
    profile: str
    model: str

    def __str__(self) -> str:
        return f"{self.mode} mode, {self.profile}, {self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Timings of a cell for a request; `seconds` is the time of the whole run."""

    cell: Cell
    request: Request
    timings: Timings
    seconds: float
    machine: str
    finished: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's file, and a key that identifies its content."""

    path: Path
    key: str


class QemuBenchmark:
    """A benchmark with llama.cpp's programs from the wheel `tools`.

    Models and machines are made when a cell needs them. `folder` is for temporary files. `shape` is that of the models
    with random weights.
    """

    def __init__(self, run: Run, tools: Path, folder: Path, shape: ModelShape = DEEPSEEK_R1_DISTILL_QWEN_1_5B) -> None:
        self._run = run
        self._tools = tools
        self._folder = folder
        self._shape = shape
        self._stages = run.stages("bench qemu")
        self._layers = LayerStore(layout=run.layout, open_stage=self._stages)
        self._models: dict[str, Model] = {}

    def measure(self, cell: Cell, request: Request, *, force: bool = False) -> Measurement:
        """Measure a cell, or return an earlier measurement unless `force` is set.

        Raises:
            CommandFailed: the model did not run.
            EnvironmentSetupError: the virtual machine did not run.
        """
        model = self.model(cell.model)
        kept = self._run.layout.benchmarks / f"qemu/{self._key(cell, request, model)}.json"
        if kept.is_file() and not force:
            self._run.reporter.line(f"{cell}: already measured (--force measures it again)")
            return load(kept, Measurement)
        run = {"user": self._run_in_root, "system": self._run_in_machine}[cell.mode]
        with self._stages(str(cell)) as log:
            started = time.monotonic()
            timings = read_timings(run(cell, request, model, log))
            seconds = time.monotonic() - started
        measurement = Measurement(
            cell=cell, request=request, timings=timings, seconds=seconds, machine=this_machine(), finished=timestamp()
        )
        save(kept, measurement)
        return measurement

    def model(self, name: str) -> Model:
        """Return one of MODELS; make or download it if it is missing."""
        if name not in self._models:
            self._models[name] = self._control() if name == CONTROL else self._random(name)
        return self._models[name]

    def _key(self, cell: Cell, request: Request, model: Model) -> str:
        """Identify a measurement.

        The time limit is left out: rates of fewer tokens are as good.
        """
        emulator = [layer.digest for layer in self._emulator(cell.mode)]
        cpu, tools = PROFILES[cell.profile].qemu_cpu, sha256_of(self._tools)
        asked = asdict(replace(request, seconds=0))
        return content_key([asdict(cell), asked, cpu, emulator, model.key, tools, this_machine()])

    def _emulator(self, mode: str) -> tuple[Layer, ...]:
        user = (DebianLayers(self._layers).native_tools(),)
        return self._machine().layers if mode == "system" else user

    def _run_in_root(self, cell: Cell, request: Request, model: Model, log: LogSink) -> str:
        printed = Recording(log)
        program = f"{BUILD}/{PROGRAMS}/llama-completion"
        command = request.limited_command(str(BUILD), program, f"{INPUTS}/{model.path.name}")
        with self._open_root() as sandbox:
            copy_atomically(model.path, sandbox.inputs / model.path.name)
            sandbox.run(Command(command, cpu=PROFILES[cell.profile].qemu_cpu), log=printed)
        return printed.text

    def _run_in_machine(self, cell: Cell, request: Request, model: Model, log: LogSink) -> str:
        hardware = Hardware(
            cpu=PROFILES[cell.profile].qemu_cpu,
            processors=request.threads,
            memory=model.path.stat().st_size + MACHINE_BYTES,
        )
        script = shlex.join(request.limited_command(MOUNT, f"{MOUNT}/{PROGRAMS}/llama-completion", DISKS[0]))
        seconds = BOOT_SECONDS + request.seconds
        tools = self._unpack_tools("machine")
        return self._machine().run(tools, script, hardware, disks=[model.path], seconds=seconds, log=log)

    def _machine(self) -> VirtualMachine:
        return virtual_machine(self._layers, DEFAULT_DISTRIBUTION)

    @contextmanager
    def _open_root(self) -> Iterator[Sandbox]:
        """Open a clean root with the programs below BUILD."""
        environment = self._run.roots.environment_of(self._run.roots.check_root(PYTHONS[0]))
        with environment.open(self._unpack_tools("root"), caches="_bench") as sandbox:
            yield sandbox

    def _unpack_tools(self, name: str) -> Path:
        """Unpack the wheel to a folder of that name, with executable programs."""
        folder = self._folder / name
        if not folder.is_dir():
            with zipfile.ZipFile(self._tools) as archive:
                archive.extractall(folder)
            for program in (folder / PROGRAMS).iterdir():
                program.chmod(0o755)
            shutil.copy(TIME_LIMIT, folder)
        return folder

    def _control(self) -> Model:
        pin = self._run.recipes.models[CONTROL_PIN]
        with self._stages(f"model {CONTROL}") as log:
            return Model(path=download_model(pin, self._run.layout.downloads, log), key=pin.sha256)

    def _random(self, name: str) -> Model:
        """Make a model with random weights and the types that llama-quantize chooses."""
        types = self._types(name)
        definition = {"steps": MODEL_STEPS, "shape": asdict(self._shape), "types": types}

        def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
            # Imported late: gguf is an optional dependency, and slow to import.
            from factory.bench.qemu.random_model import write_random

            write_random(self._shape, types, tree / f"{name}.gguf")
            return ()

        layer = self._layers.ensure("model", definition, make)
        return Model(path=layer.tree / f"{name}.gguf", key=layer.digest)

    def _types(self, name: str) -> dict[str, str]:
        from factory.bench.qemu.random_model import write_unquantized

        with self._stages(f"types of {name}") as log, self._open_root() as sandbox:
            printed = Recording(log)
            unquantized = sandbox.inputs / "unquantized.gguf"
            write_unquantized(self._shape, unquantized)
            quantize = [f"{BUILD}/{PROGRAMS}/llama-quantize", "--dry-run", f"{INPUTS}/{unquantized.name}", name]
            sandbox.run(Command(quantize), log=printed)
            unquantized.unlink()
        types = read_types(printed.text)
        if types.keys() != self._shape.tensors().keys():
            raise CommandFailed(
                f"llama-quantize: it printed no type for some tensors of {name}", hint=f"less {log.path}"
            )
        return types


def measure(cells: Sequence[Cell], request: Request, run: Run, *, force: bool) -> list[Measurement]:
    """Measure the cells in order; first build llama.cpp's programs if missing.

    Raises:
        PrerequisiteMissing: a cell needs random weights, and gguf is not installed.
        FactoryError: a cell failed; the earlier measurements are kept.
    """
    if any(cell.model in RANDOM for cell in cells):
        require_library("gguf", f"models with random weights ({', '.join(RANDOM)})")
    records = build([TOOLS], PYTHONS[:1], run)
    (tools,) = (record for record in records if record.name == TOOLS)
    with own_folder(run.layout.scratch, "bench", TOOLS, keep=run.keep) as folder:
        bench = QemuBenchmark(run, run.store.wheel_path(tools), folder)
        return [bench.measure(cell, request, force=force) for cell in cells]


def this_machine() -> str:
    """Describe the processors of this machine."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{processors()} x {names[0] if names else platform.machine()}"
