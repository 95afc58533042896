"""All kernels of every module that this CPU can run against 64-bit floats, and a sample of vLLM's own tests.

FACTORY_RESULT names the JSON file to write. Environment: MODULES limits the modules, separated by spaces.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import vllm
from checks import upstream
from checks.modules import load, run_with, runnable
from checks.run import WHOLE


def main() -> int:
    # Chosen before other processes start, and used by upstream's tests.
    module, failures, shown = load(), [], []
    for isa in os.environ.get("MODULES", "").split() or runnable():
        print(f"module {isa} ...", flush=True)
        try:
            result = run_with(isa, WHOLE)
        except subprocess.CalledProcessError as error:
            failures.append(f"{isa}: exit status {error.returncode}")
        else:
            shown.append(f"{isa}: {result['checked']} results within {result['worst']:.2f}")
    print(f"vLLM's own tests with {module} ...", flush=True)
    counts, unexpected = upstream.run()
    failures += [f"{test}:\n{reason}" for test, reason in unexpected.items()]
    shown.append("upstream's tests: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    facts = {"module": module, **counts}
    result = {"shown": f"vllm {vllm.__version__}: {'; '.join(shown)}", "facts": facts, "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result))
    print("\n".join([*(f"failed: {each}" for each in failures), *shown]), flush=True)
    return 1 if failures or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
