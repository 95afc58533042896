"""Requirements of a check, installed beside the package without network for its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checkouts import ONE_PROFILE, SUMS, make_checkout

pytestmark = pytest.mark.environment
USES_BOTH = f"import iniconfig, packaging.version\nprint('uses', packaging.version.Version('1').major)\n{SUMS}"


def test_check_has_what_it_requires(fresh_cache: Path, tmp_path: Path) -> None:
    more = f'{ONE_PROFILE}requires = ["iniconfig", "packaging>=24"]\n'
    checkout = make_checkout(tmp_path / "checkout", fresh_cache, more=more, smoke=USES_BOTH)
    built = checkout.factory("build", "vectors-c")
    assert built.returncode == 0, built.stderr
    log = checkout.log("vectors-c-1.0", "check")
    assert "\nuses 1\n" in log
    assert log.index("pip wheel") < log.index("Successfully installed vectors")
    installed = log[log.index("Successfully installed vectors") :]
    assert "Successfully installed iniconfig" in installed
