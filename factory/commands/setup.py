"""`factory setup`: install what doctor finds missing, register QEMU and make the riscv64 roots."""

from __future__ import annotations

import argparse
import os

from factory.commands.options import add_factory_options, make_factory
from factory.doctor import missing_packages, require_ready
from factory.environments.modes import MODES, check_root, ready_to_emulate
from factory.environments.root import RootRequest
from factory.pipeline import Factory
from factory.process import run as run_command

NEEDS_ROOT = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_factory_options(parser)


def run(args: argparse.Namespace) -> int:
    """Set the machine up; what is there already costs nothing."""
    factory = make_factory(args)
    _install(factory)
    stages = factory.stages("environment")
    ready_to_emulate(factory.layout, stages)
    require_ready(factory.layout)
    check_root(factory.layout, factory.target.python, stages)
    MODES[factory.mode](factory.layout, RootRequest(python=factory.target.python), stages)
    factory.reporter.line("ready: factory build NAME")
    return 0


def _install(factory: Factory) -> None:
    packages = missing_packages()
    if not packages:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with factory.stages("host")("packages") as log:
        run_command(["apt-get", "update"], log=log, env=environment)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        run_command(install, log=log, env=environment, what=f"apt-get install {' '.join(packages)}")
