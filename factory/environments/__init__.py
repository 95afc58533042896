"""Environments: ways to run commands in a riscv64 root. A new one is one new module and one line here."""

from collections.abc import Mapping

from factory.environments.docker import DockerEnvironment
from factory.environments.root import MakeEnvironment
from factory.environments.rootfs import rootfs_environment

ENVIRONMENTS: Mapping[str, MakeEnvironment] = {"rootfs": rootfs_environment, "docker": DockerEnvironment}
