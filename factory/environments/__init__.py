"""Environments: roots where riscv64 commands run. A new way to run is one new function and one line here."""

from collections.abc import Callable, Mapping, Sequence

from factory.environments.rootfs import RootfsEnvironment, emulated_environment, hybrid_environment
from factory.layout import Layout
from factory.model import OpenStage

MakeEnvironment = Callable[[Layout, Sequence[str], OpenStage], RootfsEnvironment]

MODES: Mapping[str, MakeEnvironment] = {"hybrid": hybrid_environment, "emulated": emulated_environment}
