"""Machines of modes and environments, and packages that a native machine needs."""

from __future__ import annotations

import pytest

from factory.errors import PrerequisiteMissing
from factory.host import binfmt
from factory.stages.environments.native import machine_layer
from factory.stages.environments.roots import default_mode, require_machine

on_x86 = pytest.mark.skipif(binfmt.is_native(), reason="about machines that are not riscv64 ones")


@on_x86
@pytest.mark.parametrize(
    ("mode", "environment", "option"), [("native", "rootfs", "--mode"), ("hybrid", "native", "--environment")]
)
def test_native_mode_and_environment_need_riscv64_machine(mode: str, environment: str, option: str) -> None:
    with pytest.raises(PrerequisiteMissing, match=f"^{option} native: needs a riscv64 machine") as caught:
        require_machine(mode, environment)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("use --mode hybrid")


@on_x86
def test_default_mode_on_x86_is_hybrid() -> None:
    assert default_mode() == "hybrid"
    require_machine("hybrid", "rootfs")
    require_machine("emulated", "docker")


def test_machine_without_packages_reports_install_command() -> None:
    with pytest.raises(PrerequisiteMissing, match=": libno-such-dev, no-such-package") as caught:
        machine_layer(("no-such-package", "libno-such-dev"))
    assert caught.value.hint == "apt-get install --no-install-recommends libno-such-dev no-such-package"
