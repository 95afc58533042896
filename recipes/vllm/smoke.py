"""The module that is chosen for this CPU, and a small sample of its kernels against 64-bit floats.

FACTORY_RESULT names the JSON file to write.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

STARTED = time.monotonic()
print("importing vllm ...", flush=True)

import torch  # noqa: E402
import vllm  # noqa: E402
from checks.modules import load, runnable  # noqa: E402
from checks.run import SMALL, run  # noqa: E402


def main() -> int:
    torch.set_num_threads(2)
    module, modules = load(), runnable()
    print(f"importing vllm: {time.monotonic() - STARTED:.1f} s, module {module} of {', '.join(modules)}", flush=True)
    assert module == modules[0], f"{module} was chosen, and {modules[0]} is better"
    report = run(SMALL)
    shown = f"vllm {vllm.__version__}: {module}, {report.checked} results within {report.worst:.2f} of their limits"
    result = {"shown": shown, "facts": {"module": module}, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result))
    for name, reason in report.failures.items():
        print(f"failed: {name}: {reason}", flush=True)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
