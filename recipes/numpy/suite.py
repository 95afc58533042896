"""Run the core of numpy's own tests; what fails must be listed here with its reason, and what is listed must fail.

FACTORY_RESULT names the JSON file to write; FACTORY_PROFILE is the name of the profile that this runs on.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy
import pytest

SELECTED = ("numpy._core.tests.test_multiarray", "numpy._core.tests.test_umath", "numpy.linalg")
# The end of a test's name -> why it fails under emulation. Today none does.
KNOWN_FAILURES: dict[str, str] = {}


class Outcomes:
    """A pytest plugin that remembers how each test ended."""

    def __init__(self) -> None:
        self.by_test: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.by_test[report.nodeid] = report.outcome


def main() -> int:
    outcomes = Outcomes()
    options = ["-q", "--pyargs", "-m", "not slow", "-p", "no:cacheprovider", "--timeout=1800", "--tb=short"]
    pytest.main([*options, *SELECTED], plugins=[outcomes])
    failed = {test for test, outcome in outcomes.by_test.items() if outcome == "failed"}
    unknown = sorted(test for test in failed if not known(test))
    stale = [name for name in KNOWN_FAILURES if not any(test.endswith(name) for test in failed)]
    counts = Counter(outcomes.by_test.values())
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    result = {"shown": f"numpy {numpy.__version__}: {shown}", "facts": dict(counts), "tokens": [], "logits": []}
    Path(os.environ["FACTORY_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    print(
        "\n".join([*(f"unknown failure: {test}" for test in unknown), *(f"no longer fails: {name}" for name in stale)])
    )
    print(shown)
    return 1 if unknown or stale or not counts["passed"] else 0


def known(test: str) -> bool:
    return any(test.endswith(name) for name in KNOWN_FAILURES)


if __name__ == "__main__":
    sys.exit(main())
