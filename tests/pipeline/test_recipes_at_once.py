"""Several packages at once, by the real command: what fails stops only what needs it, and logs are apart."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from factory.errors import BuildFailed
from tests.support.checkouts import ONE_PROFILE, SUMS, Checkout, add_recipe, copy_package, make_checkout
from tests.support.processes import survivors

pytestmark = pytest.mark.environment


def test_a_failure_stops_only_what_needs_it(fresh_cache: Path, tmp_path: Path) -> None:
    packages, root = tmp_path / "packages", tmp_path / "checkout"
    copy_package(packages, "other-c")
    copy_package(packages, "after-c", requires='"setuptools>=77", "vectors-c"')
    for name in ("other-c", "after-c"):
        add_recipe(root, name, more=ONE_PROFILE, smoke=SUMS, packages=packages)
    make_checkout(root, fresh_cache, kind="nonsense")
    checkout = Checkout(root=root, cache=fresh_cache)
    failed = checkout.factory("build", "after-c", "other-c", "--recipes", "2", "--jobs", "2")
    assert failed.returncode == BuildFailed.exit_code, failed.stderr
    assert "other-c 1.0: rv64gc: sum 499500.0" in failed.stderr
    assert "VECTORS_C is 'nonsense'" in failed.stderr
    assert failed.stderr.endswith(": after-c 1.0 (needs vectors-c 1.0)\n")
    assert checkout.wheel().name.startswith("other_c-1.0-")
    # They ran at the same time, each with a log of its own.
    lines = failed.stderr.splitlines()
    other_began = lines.index("other-c 1.0: environment: started")
    failure = lines.index("vectors-c 1.0: failed")
    assert lines.index("vectors-c 1.0: environment: started") < failure
    assert other_began < failure
    log = checkout.log("other-c-1.0", "build")
    assert "# compile jobs: " in log
    assert "nonsense" not in log


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_all(number: signal.Signals, status: int, fresh_cache: Path, tmp_path: Path) -> None:
    packages, root = tmp_path / "packages", tmp_path / "checkout"
    names = ("one-c", "two-c")
    for name in names:
        copy_package(packages, name)
        add_recipe(root, name, more=ONE_PROFILE, smoke=SUMS, packages=packages)
    checkout = Checkout(root=root, cache=fresh_cache)
    # A shell that runs the tests in the background has it ignored, and what they start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with checkout.start("build", *names) as process:
        assert process.stderr is not None
        waited_for = {f"{name} 1.0: environment: started\n" for name in names}
        while waited_for:
            waited_for.discard(process.stderr.readline())
            assert process.poll() is None
        process.send_signal(number)
        shown = process.stderr.read()
    assert process.returncode == status
    assert "factory: interrupted" in shown.splitlines()[-1]
    assert survivors(fresh_cache) == []
