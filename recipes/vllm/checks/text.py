"""Greedy text of a language model, by vLLM's engine and by transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from vllm import LLM, SamplingParams

PROMPT = "The capital of France is"
TOKENS = 32
# Log probabilities that are compared at each step.
BEST = 5


@dataclass(frozen=True)
class Continuation:
    """Tokens that follow PROMPT, and the log probabilities of each step's best ones."""

    tokens: tuple[int, ...]
    best: tuple[dict[int, float], ...]


def by_transformers(folder: Path, count: int = TOKENS) -> Continuation:
    """Continue PROMPT in float32 by transformers."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens: list[int] = []
    best = []
    given, cache = torch.tensor([prompt_tokens(folder)]), None
    with torch.inference_mode():
        for _ in range(count):
            output = model(given, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            values, indices = torch.log_softmax(output.logits[0, -1], -1).topk(4 * BEST)
            best.append(dict(zip(indices.tolist(), values.tolist(), strict=True)))
            tokens.append(int(indices[0]))
            given = torch.tensor([tokens[-1:]])
    return Continuation(tuple(tokens), tuple(best))


def by_vllm(folder: Path, kind: str, count: int = TOKENS) -> Continuation:
    """Continue PROMPT by vLLM's engine, which computes in `kind`."""
    # No torch.compile: it compiles C++, and the check's root has no compiler.
    engine = LLM(str(folder), dtype=kind, enforce_eager=True, max_model_len=128, max_num_seqs=2)
    wanted = SamplingParams(temperature=0, max_tokens=count, logprobs=BEST, ignore_eos=True)
    (request,) = engine.generate([{"prompt_token_ids": prompt_tokens(folder)}], wanted, use_tqdm=False)
    (output,) = request.outputs
    best = ({token: each.logprob for token, each in step.items()} for step in output.logprobs)
    return Continuation(tuple(output.token_ids), tuple(best))


def prompt_tokens(folder: Path) -> list[int]:
    """Return the tokens of PROMPT."""
    found: list[int] = AutoTokenizer.from_pretrained(folder)(PROMPT).input_ids
    return found


def text(folder: Path, continuation: Continuation) -> str:
    """Return PROMPT and what follows."""
    return PROMPT + str(AutoTokenizer.from_pretrained(folder).decode(continuation.tokens))


def largest_difference(one: Continuation, other: Continuation) -> float:
    """Return the largest difference of log probabilities up to the first token that differs."""
    same = next((step for step, (a, b) in enumerate(zip(one.tokens, other.tokens, strict=True)) if a != b), None)
    steps = list(zip(one.best, other.best, strict=True))[: None if same is None else same + 1]
    return max(abs(value - right[token]) for left, right in steps for token, value in left.items() if token in right)
