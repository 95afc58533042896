"""Tests of checks of several profiles at once, each in its own copy of a root."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.errors import CheckFailed, TimeLimitReached
from factory.model.protocols import Command, Sandbox
from factory.model.recipe import CheckOptions, Recipe
from factory.model.record import CheckResult
from factory.pipeline.profiles import LogInTurn, ProfileCopies
from factory.stages.checks.runner import SCRIPT, run_profiles
from factory.stages.environments.base import CopyingEnvironment, Root
from factory.stages.environments.docker.environment import DockerEnvironment
from factory.stages.environments.layers import Layer
from factory.stages.environments.native import MACHINE, NativeEnvironment
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.stages.environments.variables import BASE_PATH
from factory.stages.sources.local import LocalSource
from factory.util import cancellation
from factory.util.log import LogSink
from factory.util.paths import Layout
from factory.util.process import run
from factory.util.resource_usage import metered
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog

PROFILES = ["rv64gc", "rvv128", "k1"]
# Fails if another profile's check was here; the installation's files are there for all.
MARKS = """
import json, os, pathlib
marks = [pathlib.Path(folder, "mark") for folder in ("/opt/venv", "/root", "/tmp", "/var", "/build", "/build/made")]
for mark in marks:
    assert not mark.exists(), mark
    mark.write_text("mark")
for installed in ("/opt/venv/installed", "/build/made/installed"):
    assert pathlib.Path(installed).read_text() == "yes", installed
    pathlib.Path(installed).write_text("no")
pathlib.Path("/build/made/removed").unlink()
for unchanged in ("/inputs/planted", "/packages/planted"):
    try:
        pathlib.Path(unchanged).write_text("x")
    except OSError:
        pass
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps({"shown": os.environ["FACTORY_PROFILE"]}))
"""
INSTALL = """
mkdir /build/made && echo forged > /build/result-k1.json
for folder in /opt/venv /build/made; do printf yes > $folder/installed; done
touch /build/made/removed
"""


class Copies:
    """A root whose copies are only counted."""

    native_pip = False

    def __init__(self, folder: Path) -> None:
        self.work = self.inputs = folder
        self.names: list[str] = []

    @contextmanager
    def copied(self, name: str, *, keep: bool = False) -> Iterator[Sandbox]:
        self.names.append(name)
        yield self

    def run(self, command: Command, *, log: LogSink) -> None:
        run(command.argv, log=log)


def result(profile: str) -> CheckResult:
    return CheckResult(profile=profile, passed=True, seconds=1.0, shown="", facts={})


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_profiles_run_at_once_in_order_of_results(tmp_path: Path, log: MemoryLog, at_once: int) -> None:
    """All that may run at once wait for each other; more of them would break the barrier."""
    together = threading.Barrier(at_once)
    root, running, most = Copies(tmp_path), set[str](), set[int]()

    def check(_: Sandbox, profile: str, own_log: LogSink) -> CheckResult:
        running.add(profile)
        if profile != PROFILES[2] or at_once != 2:
            together.wait(30)
        most.add(len(running))
        own_log.write(f"{profile} one\n")
        own_log.write(f"{profile} two\n")
        running.discard(profile)
        return result(profile)

    results = ProfileCopies(root=root, at_once=at_once).run_all(PROFILES, log, check)
    assert [each.profile for each in results] == PROFILES
    assert log.text == "".join(f"{profile} one\n{profile} two\n" for profile in PROFILES)
    assert max(most) <= at_once
    assert sorted(root.names) == sorted(PROFILES)


def test_log_shows_the_first_part_at_once(log: MemoryLog) -> None:
    logs = LogInTurn(log, ["a", "b", "c"])
    with logs.part("b") as second, logs.part("a") as first:
        second.write("b1\n")
        first.write("a1\n")
        assert (log.text, first.path) == ("a1\n", log.path)
    assert log.text == "a1\nb1\n"
    with logs.part("c") as third:
        third.write("c1\n")
        assert log.text == "a1\nb1\nc1\n"


def test_profile_without_memory_ends_the_others(tmp_path: Path, log: MemoryLog) -> None:
    begun = []

    def check(_: Sandbox, profile: str, __: LogSink) -> CheckResult:
        begun.append(profile)
        raise CheckFailed(f"{profile}: no memory", machines_fault=True)

    with pytest.raises(CheckFailed, match="rv64gc: no memory"):
        ProfileCopies(root=Copies(tmp_path), at_once=1).run_all(PROFILES, log, check)
    assert begun == ["rv64gc"]


def test_profile_without_memory_beside_others_runs_alone(tmp_path: Path, log: MemoryLog) -> None:
    """A machine with many processors may not have the memory for a check on each."""
    together, running, runs = threading.Barrier(3), set[str](), list[str]()

    def check(_: Sandbox, profile: str, __: LogSink) -> CheckResult:
        runs.append(profile)
        running.add(profile)
        try:
            if runs.count(profile) == 1:
                together.wait(30)
                if profile != "rvv128":
                    raise CheckFailed(f"{profile}: no memory", machines_fault=True)
            else:
                assert running == {profile}
            return result(profile)
        finally:
            running.discard(profile)

    results = ProfileCopies(root=Copies(tmp_path), at_once=3).run_all(PROFILES, log, check)
    assert [each.profile for each in results] == PROFILES
    assert sorted(runs) == sorted([*PROFILES, "rv64gc", "k1"])
    assert "one at a time: rv64gc, k1" in log.text


def test_cancelled_profiles_raise_the_reason(tmp_path: Path, log: MemoryLog) -> None:
    def check(_: Sandbox, profile: str, __: LogSink) -> CheckResult:
        cancellation.current().request(TimeLimitReached)
        return result(profile)

    with cancellation.nested(), pytest.raises(TimeLimitReached):
        ProfileCopies(root=Copies(tmp_path), at_once=1).run_all(PROFILES, log, check)


def test_usage_of_all_profiles_is_measured(tmp_path: Path, log: MemoryLog) -> None:
    root = Copies(tmp_path)
    busy = Command(["python3", "-c", "import time\nwhile time.process_time() < 0.3: pass"])

    def check(own: Sandbox, profile: str, own_log: LogSink) -> CheckResult:
        own.run(busy, log=own_log)
        return result(profile)

    with metered() as meter:
        ProfileCopies(root=root, at_once=3).run_all(PROFILES, log, check)
    assert meter.usage.processors > 0.85


def check_marks(environment: CopyingEnvironment, folder: Path, log: MemoryLog) -> None:
    """Run a check that marks all places that it can write, at once on all profiles."""
    (folder / SCRIPT).write_text(MARKS)
    recipe = Recipe(
        name="demo",
        version="1.0",
        directory=folder,
        source=LocalSource(project="demo", version="1.0", path=folder),
        check=CheckOptions(script=folder / SCRIPT),
    )
    with environment.open(folder / "work", caches="test") as root:
        root.run(Command(["sh", "-ec", INSTALL]), log=log)
        copies = ProfileCopies(root=root, at_once=3)
        results = run_profiles(root, recipe, "3.13", None, PROFILES, log, run_all=copies.run_all)
        assert [each.shown for each in results] == PROFILES, log.text
        root.run(Command(["sh", "-ec", "grep -q yes /opt/venv/installed && test ! -e /opt/venv/mark"]), log=log)
    assert (folder / "work/made/installed").read_text() == "yes"
    assert sorted(path.name for path in (folder / "work").iterdir()) == ["made", "result-k1.json"]
    assert [path.name for path in folder.glob("work*")] == ["work"]


@pytest.mark.environment
def test_profiles_do_not_see_what_others_write(clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    check_marks(clean_root, tmp_path, log)


@pytest.mark.environment
def test_result_of_the_installation_is_no_result(clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with clean_root.open(tmp_path / "work", caches="test") as root:
        root.run(Command(["sh", "-ec", INSTALL]), log=log)
        with root.copied("k1") as copy:
            assert not (copy.work / "result-k1.json").exists()
            assert copy.inputs == root.inputs


@pytest.mark.environment
def test_profiles_in_containers_do_not_see_others(
    clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog, docker_engine: None
) -> None:
    check_marks(DockerEnvironment(root=clean_root.root, store=layer_store(clean_root.layout)), tmp_path, log)


@pytest.mark.environment
def test_profiles_on_a_machine_itself_do_not_see_others(layout: Layout, tmp_path: Path, log: MemoryLog) -> None:
    venv = tmp_path / "layer"
    (venv / "opt/venv/bin").mkdir(parents=True)
    (venv / "opt/venv/bin/python").symlink_to("/usr/bin/python3")
    layers = tuple(Layer(key=key, tree=tree, packages=()) for key, tree in (("machine", MACHINE), ("venv", venv)))
    root = Root(layers=layers, variables={"PATH": f"/opt/venv/bin:{BASE_PATH}"})
    check_marks(NativeEnvironment(root=root, layout=layout), tmp_path, log)
