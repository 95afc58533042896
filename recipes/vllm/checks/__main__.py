"""Run checks with the module that the environment forces: python -m checks SIZE ANSWER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from checks.modules import load
from checks.run import run


def main() -> int:
    size, answer = sys.argv[1:]
    module = load()
    report = run(size)
    Path(answer).write_text(json.dumps({"module": module, "checked": report.checked, "worst": report.worst}))
    for name, reason in report.failures.items():
        print(f"failed with {module}: {name}: {reason}", flush=True)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
