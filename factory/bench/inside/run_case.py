"""Case runner for a recipe's bench.py, inside a root.

`run_case.py SCRIPT` writes the names of the cases as JSON to the file `answer` in the current directory.
`run_case.py SCRIPT CASE CALLS` calls a case and writes the memory mappings of the process to `answer`.
"""

import gc
import json
import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    # Garbage collection and Python's shutdown depend on more than the case: avoid both.
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
