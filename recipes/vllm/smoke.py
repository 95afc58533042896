"""The module chosen for this CPU, a small sample of its kernels, and text of a model.

Kernels are compared with 64-bit floats, the text with that of transformers. On one profile a model of 4-bit weights
writes too, one larger than the memory is refused, and the server is asked.

FACTORY_RESULT names the JSON file to write, FACTORY_MODEL a GGUF file; without one no text is generated.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

STARTED = time.monotonic()
# The engine runs in this process, and asks nobody for the model.
os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
print("importing vllm ...", flush=True)

import torch  # noqa: E402
import vllm  # noqa: E402
from checks.modules import load, runnable  # noqa: E402
from checks.run import SMALL, run  # noqa: E402

# Of log probabilities: in float32, and of 4-bit weights in float16. Measured on K1: 0.00004 and 0.025.
LIMIT, QUANTIZED_LIMIT = 0.001, 0.1
# Where what takes minutes under emulation is tried.
WHOLE_PROFILES = ("k1", "native")
FEW_TOKENS = 12


def main() -> int:
    torch.set_num_threads(2)
    module, modules = load(), runnable()
    note(f"importing vllm, module {module} of {', '.join(modules)}")
    assert module == modules[0], f"{module} was chosen, and {modules[0]} is better"
    report = run(SMALL)
    for name, reason in report.failures.items():
        print(f"failed: {name}: {reason}", flush=True)
    shown = f"vllm {vllm.__version__}: {module}, {report.checked} results within {report.worst:.2f} of their limits"
    result = {"facts": {"module": module}, "tokens": [], "logits": []}
    if gguf := os.environ.get("FACTORY_MODEL"):
        with tempfile.TemporaryDirectory() as folder:
            written, result["tokens"], result["logits"] = generate(Path(gguf), Path(folder) / "whole")
            shown = f"{written!r}; {shown}"
            if os.environ["FACTORY_PROFILE"] in WHOLE_PROFILES:
                shown = f"{shown}; {try_the_rest(Path(gguf), Path(folder))}"
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps({"shown": shown, **result}))
    return 1 if report.failures else 0


def generate(gguf: Path, folder: Path) -> tuple[str, list[int], list[list[tuple[int, float]]]]:
    """Generate text in float32, which has to be that of transformers.

    Returns it, its tokens and the best log probabilities of each.
    """
    from checks.model_files import write_model
    from checks.text import by_transformers, by_vllm, largest_difference, text

    write_model(gguf, folder)
    expected = by_transformers(folder)
    note("text by transformers")
    found = by_vllm(folder, "float32")
    difference = largest_difference(found, expected)
    note(f"text by vLLM: {text(folder, found)!r}, log probabilities differ by {difference:.1e}")
    assert found.tokens == expected.tokens, f"transformers wrote {text(folder, expected)!r}"
    assert difference <= LIMIT, f"log probabilities differ from transformers' by {difference}"
    return text(folder, found), list(found.tokens), [list(step.items()) for step in found.best]


def try_the_rest(gguf: Path, folder: Path) -> str:
    """Try 4-bit weights, a model that does not fit, and the server; return what it showed."""
    from checks.memory import refusal
    from checks.model_files import write_model
    from checks.quantized import write_quantized
    from checks.serving import ask_server
    from checks.text import by_transformers, by_vllm, largest_difference, text

    quantized, floats = folder / "quantized", folder / "floats"
    write_quantized(folder / "whole", quantized, floats)
    expected, found = by_transformers(floats, FEW_TOKENS), by_vllm(quantized, "float16", FEW_TOKENS)
    difference = largest_difference(found, expected)
    note(f"text of 4-bit weights: {text(floats, found)!r}, log probabilities differ by {difference:.1e}")
    assert found.tokens == expected.tokens, f"transformers wrote {text(floats, expected)!r}"
    assert difference <= QUANTIZED_LIMIT, f"log probabilities differ from transformers' by {difference}"
    refused = refusal(folder / "whole", folder / "large")
    note(refused)
    assert "doesn't fit into memory" in refused, refused
    write_model(gguf, folder / "short", layers=2)
    return f"4-bit weights within {difference:.3f}; {ask_server(folder / 'short', note)}"


def note(what: str) -> None:
    print(f"{time.monotonic() - STARTED:.1f} s: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
