"""llama-completion: its command line, and what its timing lines say.

It is what llama-cli was before that became a chat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed

# What runs it in the root, for so many seconds.
LIMITED = Path(__file__).parents[1] / "inside/time_limit.py"
_SAMPLING = re.compile(r"sampling time = +([\d.]+) ms")
_SAMPLED = re.compile(r"samplers time = +[\d.]+ ms / +(\d+) tokens")
_PROMPT = re.compile(r"prompt eval time = +([\d.]+) ms / +(\d+) tokens")
_GENERATION = re.compile(r"[^t] eval time = +([\d.]+) ms / +(\d+) runs")
_BACKEND = re.compile(r"loaded CPU backend from .*/libggml-cpu-(\w+)\.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """So many tokens in so many seconds."""

    tokens: int
    seconds: float

    @property
    def rate(self) -> float | None:
        """Tokens per second; None where nothing was counted."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What one run of llama-completion said of itself; `backend` is the CPU variant that it loaded."""

    backend: str
    sampling: Counted
    prompt: Counted
    generation: Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is generated: `tokens` at most, from `prompt`, by so many `threads`, for at most `seconds` in all.

    `options` are further words of the command line.
    """

    prompt: str
    tokens: int
    threads: int
    seconds: int
    options: tuple[str, ...] = ()

    def command(self, program: str, model: str) -> list[str]:
        """The command line: that of the published experiment (-m, -p, -n), and what makes runs comparable."""
        asked = [program, "-m", model, "-p", self.prompt, "-n", str(self.tokens)]
        # From this verbosity on it names the CPU variant. A pass to warm up would take as long as a token.
        settled = ["--no-conversation", "--ignore-eos", "--no-warmup", "--log-verbosity", "4", "-c", "512"]
        return [*asked, *settled, "-t", str(self.threads), *self.options]

    def limited(self, folder: str, program: str, model: str) -> list[str]:
        """The same, ended well where the time is over; LIMITED lies in `folder`."""
        return ["python3", f"{folder}/{LIMITED.name}", str(self.seconds), *self.command(program, model)]


def read_timings(printed: str) -> Timings:
    """The timings in what llama-completion printed.

    Raises:
        CommandFailed: there are none.
    """
    backend, sampling, sampled = _BACKEND.search(printed), _SAMPLING.search(printed), _SAMPLED.search(printed)
    prompt, generation = _PROMPT.search(printed), _GENERATION.search(printed)
    if not (backend and sampling and sampled and prompt and generation):
        raise CommandFailed(
            "llama-completion printed no timings",
            hint="where the time limit ended it while it was loading, give it a longer one: --limit 10m",
            output="\n".join(printed.splitlines()[-25:]),
        )
    return Timings(
        backend=backend[1],
        sampling=_counted(sampled[1], sampling[1]),
        prompt=_counted(prompt[2], prompt[1]),
        generation=_counted(generation[2], generation[1]),
    )


def _counted(tokens: str, milliseconds: str) -> Counted:
    """Nothing takes no time, whatever number it has: llama.cpp never says 0 runs."""
    seconds = float(milliseconds) / 1000
    return Counted(tokens=int(tokens) if seconds else 0, seconds=seconds)
