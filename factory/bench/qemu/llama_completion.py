"""llama-completion: its command line and its timing lines.

It is the program that was llama-cli before llama-cli became a chat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed

# Runs a command in the root with a time limit.
TIME_LIMIT = Path(__file__).parents[1] / "inside/time_limit.py"
_SAMPLING = re.compile(r"sampling time = +([\d.]+) ms")
_SAMPLED = re.compile(r"samplers time = +[\d.]+ ms / +(\d+) tokens")
_PROMPT = re.compile(r"prompt eval time = +([\d.]+) ms / +(\d+) tokens")
_GENERATION = re.compile(r"[^t] eval time = +([\d.]+) ms / +(\d+) runs")
_BACKEND = re.compile(r"loaded CPU backend from .*/libggml-cpu-(\w+)\.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRate:
    """Tokens and the seconds that they took."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> float | None:
        """Tokens per second; None without tokens."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Timings of a run of llama-completion; `backend` is the loaded CPU variant."""

    backend: str
    sampling: TokenRate
    prompt: TokenRate
    generation: TokenRate


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to generate at most `tokens` from `prompt` in at most `seconds`.

    `options` are further command line arguments.
    """

    prompt: str
    tokens: int
    threads: int
    seconds: int
    options: tuple[str, ...] = ()

    def command(self, program: str, model: str) -> list[str]:
        """Return the published experiment's command with options for comparable runs."""
        experiment = [program, "-m", model, "-p", self.prompt, "-n", str(self.tokens)]
        # Verbosity 4 prints the CPU variant. A warm-up pass would take as long as a token.
        comparable = ["--no-conversation", "--ignore-eos", "--no-warmup", "--log-verbosity", "4", "-c", "512"]
        return [*experiment, *comparable, "-t", str(self.threads), *self.options]

    def limited_command(self, folder: str, program: str, model: str) -> list[str]:
        """Return the command with its time limit; TIME_LIMIT is in `folder`."""
        return ["python3", f"{folder}/{TIME_LIMIT.name}", str(self.seconds), *self.command(program, model)]


def read_timings(printed: str) -> Timings:
    """Read the timings from the output of llama-completion.

    Raises:
        CommandFailed: the output has no timings.
    """
    backend, sampling, sampled = _BACKEND.search(printed), _SAMPLING.search(printed), _SAMPLED.search(printed)
    prompt, generation = _PROMPT.search(printed), _GENERATION.search(printed)
    if not (backend and sampling and sampled and prompt and generation):
        raise CommandFailed(
            "llama-completion: it printed no timings: it failed, or the time limit passed while it loaded the model",
            hint="--limit 10m",
            output="\n".join(printed.splitlines()[-25:]),
        )
    return Timings(
        backend=backend[1],
        sampling=_rate(sampled[1], sampling[1]),
        prompt=_rate(prompt[2], prompt[1]),
        generation=_rate(generation[2], generation[1]),
    )


def _rate(tokens: str, milliseconds: str) -> TokenRate:
    """Make a rate; no time means no tokens, since llama.cpp prints 1 run for none."""
    seconds = float(milliseconds) / 1000
    return TokenRate(tokens=int(tokens) if seconds else 0, seconds=seconds)
