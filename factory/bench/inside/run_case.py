"""Run a case of a recipe's bench.py: `run_case.py SCRIPT` lists the cases, `run_case.py SCRIPT CASE CALLS` calls one.

Both write to the file `answer` in the current folder: the names as JSON, or what the process has mapped at its end.
"""

import gc
import json
import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    # When Python looks for garbage, and what it tidies up at its end, depends on more than the case.
    gc.disable()
    script, *rest = sys.argv[1:]
    cases = runpy.run_path(script)["CASES"]
    if not rest:
        Path("answer").write_text(json.dumps(list(cases)), encoding="utf-8")
        return
    name, calls = rest
    call = cases[name]()
    for _ in range(int(calls)):
        call()
    Path("answer").write_bytes(Path("/proc/self/maps").read_bytes())
    os._exit(0)


if __name__ == "__main__":
    main()
