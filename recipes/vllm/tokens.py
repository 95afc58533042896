"""Generator of tokens by one program, for `factory bench tokens`.

`tokens.py SYSTEM COUNT`: the process stops itself before and after the tokens that are counted. The file `answer` gets
the generated tokens and the memory mappings of the process, as JSON. It also runs in the root of llama-cpp-python.
`tokens.py models` writes the models' files, which would take long while instructions are logged.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PROMPT = "The capital of France is"
# Tokens before the first counted one: its allocations and caches are not those of the next ones.
WARM = 3
MODELS = Path("models")
Step = Callable[[], int]


def write_models() -> None:
    """Write the model in float32 and with 4-bit weights."""
    from checks.model_files import write_model
    from checks.quantized import write_quantized

    write_model(Path(os.environ["FACTORY_MODEL"]), MODELS / "float32")
    write_quantized(MODELS / "float32", MODELS / "w4a16", MODELS / "w4a16-in-float32")


def prompt_tokens(folder: Path) -> list[int]:
    """Return the tokens of PROMPT."""
    from transformers import AutoTokenizer

    found: list[int] = AutoTokenizer.from_pretrained(folder)(PROMPT).input_ids
    return found


def llama_cpp() -> Step:
    """Load the GGUF file as it is with llama.cpp."""
    from llama_cpp import Llama

    model = Llama(os.environ["FACTORY_MODEL"], n_ctx=128, n_threads=1, n_threads_batch=1, verbose=False)
    tokens = model.generate(model.tokenize(PROMPT.encode()), temp=0.0, top_k=1)
    return lambda: next(tokens)


def transformers(kind: str) -> Step:
    """Load transformers' model, which keeps keys and values as its `generate` does."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = MODELS / "float32"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, kind))

    def tokens() -> Iterator[int]:
        given, cache = torch.tensor([prompt_tokens(folder)]), None
        with torch.inference_mode():
            while True:
                output = model(given, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                token = int(output.logits[0, -1].argmax())
                yield token
                given = torch.tensor([[token]])

    found = tokens()
    return lambda: next(found)


def vllm(kind: str, name: str) -> Step:
    """Load vLLM's engine in this process."""
    from vllm import LLM, SamplingParams

    folder = MODELS / name
    options = {"enforce_eager": True, "max_model_len": 128, "max_num_seqs": 2}
    engine = LLM(str(folder), dtype=kind, **options).llm_engine
    wanted = SamplingParams(temperature=0, max_tokens=64, ignore_eos=True)
    engine.add_request("0", {"prompt_token_ids": prompt_tokens(folder)}, wanted)

    def step() -> int:
        while True:
            for request in engine.step():
                return int(request.outputs[0].token_ids[-1])

    return step


SYSTEMS: dict[str, Callable[[], Step]] = {
    "llama.cpp Q4_1": llama_cpp,
    "transformers float32": lambda: transformers("float32"),
    "transformers bfloat16": lambda: transformers("bfloat16"),
    "vLLM float32": lambda: vllm("float32", "float32"),
    "vLLM bfloat16": lambda: vllm("bfloat16", "float32"),
    "vLLM float16": lambda: vllm("float16", "float32"),
    "vLLM W4A16": lambda: vllm("float16", "w4a16"),
}


def main() -> None:
    name, *rest = sys.argv[1:]
    if name == "models":
        write_models()
        return
    step = SYSTEMS[name]()
    tokens = [step() for _ in range(WARM)]
    gc.collect()
    gc.disable()
    os.kill(os.getpid(), signal.SIGSTOP)
    tokens += [step() for _ in range(int(rest[0]))]
    os.kill(os.getpid(), signal.SIGSTOP)
    answer = {"tokens": tokens, "maps": Path("/proc/self/maps").read_text(encoding="utf-8")}
    Path("answer").write_text(json.dumps(answer), encoding="utf-8")
    # Without Python's shutdown, which takes long with so many modules.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
