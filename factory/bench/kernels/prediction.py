"""Predicted cycles of kernels, by LLVM's model of a processor's pipeline.

The blocks that were executed are disassembled and given to llvm-mca, each with the vtype that it ran with. The cycles
of a kernel are those of each block in a steady loop, times the runs of the block: a prediction without cache misses.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from factory.bench.instructions.trace import Instruction
from factory.errors import FactoryError
from factory.host.native_programs import program_command
from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.bootstrap import extract
from factory.stages.environments.debian.native_tools import trim
from factory.stages.environments.layers import LayerStore
from factory.util.log import LogSink
from factory.util.process import run
from factory.util.quantities import quantity

# Counts up when the layer changes without its package list.
STEPS = 1
HOME = "opt/llvm"
UNUSED_FOLDERS = ("usr/include", "usr/share")
# Profile -> its processor in LLVM.
PROCESSORS = {"k1": "spacemit-x60"}
ITERATIONS = 100
# The model has no fences, and takes 100 cycles for a call unless told that it is a jump.
UNMODELED = ("-skip-unsupported-instructions=lack-sched", "-call-latency=1")
# Blocks with the fewest instructions executed are left out, together less than this part.
NEGLECTED = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Instructions that follow each other and ran equally often."""

    instructions: tuple[Instruction, ...]
    runs: int

    @property
    def executed(self) -> int:
        return len(self.instructions) * self.runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """LLVM's disassembler and pipeline model, as commands, and the folder for their inputs."""

    disassembler: Sequence[str]
    analyzer: Sequence[str]
    folder: Path
    log: LogSink

    def cycles(self, counts: Mapping[Instruction, int], processor: str) -> float:
        """Predict the cycles of the counted instructions.

        Raises:
            FactoryError: the model refuses a block.
        """
        blocks = largest(blocks_of(counts))
        source = self.folder / "blocks.s"
        source.write_text("\n".join(self._regions(blocks, processor)) + "\n", encoding="utf-8")
        options = ["-mtriple=riscv64", f"-mcpu={processor}", f"-iterations={ITERATIONS}", "-json", *UNMODELED]
        regions = json.loads(self._output("llvm-mca", [*self.analyzer, *options, str(source)]))["CodeRegions"]
        if len(regions) != len(blocks):
            raise FactoryError(
                f"llvm-mca: cannot predict cycles: analyzed {len(regions)} of {quantity(len(blocks), 'block')}"
            )
        totals: list[int] = [region["SummaryView"]["TotalCycles"] for region in regions]
        return sum(block.runs * total for block, total in zip(blocks, totals, strict=True)) / ITERATIONS

    def _regions(self, blocks: Sequence[Block], processor: str) -> Iterator[str]:
        lines = iter(self._disassemble([each for block in blocks for each in block.instructions], processor))
        for number, block in enumerate(blocks):
            yield f"# LLVM-MCA-BEGIN block{number}"
            vtype: tuple[int, Fraction] | None = None
            for instruction in block.instructions:
                if (instruction.sew, instruction.lmul) != vtype:
                    vtype = instruction.sew, instruction.lmul
                    yield f"# LLVM-MCA-RISCV-LMUL {_lmul(instruction.lmul)}"
                    yield f"# LLVM-MCA-RISCV-SEW E{instruction.sew}"
                yield next(lines)
            yield "# LLVM-MCA-END"

    def _disassemble(self, instructions: Sequence[Instruction], processor: str) -> list[str]:
        source = self.folder / "encodings"
        source.write_text("\n".join(map(_bytes, instructions)) + "\n", encoding="utf-8")
        options = ["-disassemble", "-triple=riscv64", f"-mcpu={processor}"]
        text = self._output("llvm-mc", [*self.disassembler, *options, str(source)])
        lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith(".")]
        if len(lines) != len(instructions):
            raise FactoryError("llvm-mc: cannot disassemble: the processor lacks instructions that were executed")
        return lines

    def _output(self, program: str, command: Sequence[str]) -> str:
        output = self.folder / "output"
        run([*command, "-o", str(output)], log=self.log, what=program)
        return output.read_text(encoding="utf-8")


def predictor(store: LayerStore, distribution: Distribution, folder: Path, log: LogSink) -> Predictor:
    """Return the predictor; making its layer downloads about 80 MB."""
    packages = (f"llvm-{distribution.clang}",)
    programs = tuple(f"{name}-{distribution.clang}" for name in ("llvm-mc", "llvm-mca"))
    definition = {"steps": STEPS, "suite": distribution.suite, "packages": packages}

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        pins = extract(tree / HOME, "amd64", packages, distribution, log)
        trim(tree / HOME, UNUSED_FOLDERS, programs)
        for program in (tree / HOME / f"usr/lib/llvm-{distribution.clang}/bin").iterdir():
            if f"{program.name}-{distribution.clang}" not in programs:
                program.unlink()
        return pins

    tree = store.ensure("llvm", definition, make).tree / HOME
    disassembler, analyzer = (program_command([tree], program) for program in programs)
    return Predictor(disassembler=disassembler, analyzer=analyzer, folder=folder, log=log)


def blocks_of(counts: Mapping[Instruction, int]) -> list[Block]:
    """Join instructions that follow each other and ran equally often, by address."""
    runs: Counter[int] = Counter()
    at: dict[int, Instruction] = {}
    for instruction, count in sorted(counts.items(), key=lambda item: item[1]):
        runs[instruction.address] += count
        at[instruction.address] = instruction  # the most frequent vtype
    blocks: list[list[Instruction]] = []
    for address in sorted(at):
        last = blocks[-1][-1] if blocks else None
        if last is None or last.address + last.size != address or runs[last.address] != runs[address]:
            blocks.append([])
        blocks[-1].append(at[address])
    return [Block(instructions=tuple(block), runs=runs[block[0].address]) for block in blocks]


def largest(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks without those that hardly ran."""
    chosen: list[Block] = []
    left = sum(block.executed for block in blocks) * (1 - NEGLECTED)
    for block in sorted(blocks, key=lambda block: -block.executed):
        if left <= 0:
            break
        chosen.append(block)
        left -= block.executed
    return chosen


def _bytes(instruction: Instruction) -> str:
    return " ".join(f"{byte:#04x}" for byte in instruction.encoding.to_bytes(instruction.size, "little"))


def _lmul(lmul: Fraction) -> str:
    return f"M{lmul}" if lmul >= 1 else f"MF{lmul.denominator}"
