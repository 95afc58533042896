"""Registry of environments. A new one is a module and a line here."""

from collections.abc import Mapping

from factory.stages.environments.base import MakeCheckRoot, MakeEnvironment, MakeRoot
from factory.stages.environments.docker.environment import DockerEnvironment
from factory.stages.environments.native import machine_check_root, machine_root, native_environment
from factory.stages.environments.rootfs import rootfs_environment

DEFAULT_ENVIRONMENT = "rootfs"
ENVIRONMENTS: Mapping[str, MakeEnvironment] = {
    DEFAULT_ENVIRONMENT: rootfs_environment,
    "docker": DockerEnvironment,
    "native": native_environment,
}
# For environments whose roots are not the mode's.
OWN_ROOTS: Mapping[str, MakeRoot] = {"native": machine_root}
OWN_CHECK_ROOTS: Mapping[str, MakeCheckRoot] = {"native": machine_check_root}
