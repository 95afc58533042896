"""The environment `docker` with a real engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from factory.errors import CommandFailed, EnvironmentSetupError, PrerequisiteMissing, TimeLimitReached
from factory.host.docker_engine import connect
from factory.host.doctor import examine
from factory.model.protocols import Command
from factory.stages.environments.docker import executions
from factory.stages.environments.docker.environment import DockerEnvironment
from factory.stages.environments.docker.image import ImageConfig, image_tag
from factory.stages.environments.docker.limits import Limits, limits
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util import cancellation
from factory.util.failure_hints import hint_for
from factory.util.hang_limits import CommandHangs, HangLimits, hang_limits
from factory.util.log import LogFile
from factory.util.paths import Layout
from factory.util.resource_usage import metered
from tests.support.checkouts import make_checkout
from tests.support.interruption import BACKEND, NINJA, ask_when_both_are_begun
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog
from tests.support.waiting import wait_until

NO_ENGINE = "unix:///nowhere/docker.sock"


@pytest.fixture
def contained(docker_engine: None, clean_root: RootfsEnvironment, layout: Layout) -> DockerEnvironment:
    """Return the environment that runs the clean root in containers."""
    return DockerEnvironment(root=clean_root.root, store=layer_store(layout))


@pytest.mark.environment
def test_image_has_riscv64_architecture_and_content_key(
    contained: DockerEnvironment, tmp_path: Path, log: MemoryLog
) -> None:
    with contained.open(tmp_path / "work", caches="test") as sandbox, connect() as client:
        sandbox.run(Command(["python", "-c", "import platform, sys; print(platform.machine(), sys.prefix)"]), log=log)
        image = client.images.get(image_tag(contained.root.layers, ImageConfig(variables=contained.root.variables)))
    assert "riscv64 /opt/venv\n" in log.text
    assert (image.attrs["Architecture"], len(image.attrs["RootFS"]["Layers"])) == ("riscv64", 2)


@pytest.mark.environment
def test_containers_see_the_same_root_as_rootfs(
    contained: DockerEnvironment, clean_root: RootfsEnvironment, tmp_path: Path
) -> None:
    script = """
        set -e
        hostname; pwd; ulimit -c; cat /proc/cpuinfo; id -u
        env | grep -v -e ^HOSTNAME= -e ^_= | sort
        tail -n +3 /proc/net/dev | cut -d: -f1
        ls -d /build /inputs
        touch /build/x /x
    """
    seen = []
    for environment in (contained, clean_root):
        work = tmp_path / type(environment).__name__
        with environment.open(work, caches="test") as sandbox:
            sandbox.run(Command(["sh", "-c", f"({script}) > /build/seen"]), log=LogFile(tmp_path / "log"))
        seen.append((work / "seen").read_text())
    assert seen[0] == seen[1]


@pytest.mark.environment
def test_changes_with_network_are_visible_without_it(
    contained: DockerEnvironment, tmp_path: Path, log: MemoryLog
) -> None:
    interfaces = "tail -n +3 /proc/net/dev | wc -l"
    with contained.open(tmp_path / "work", caches="test") as sandbox:
        sandbox.run(Command(["sh", "-c", "echo one > /opt/one"]), log=log)
        sandbox.run(Command(["sh", "-c", f"echo $(cat /opt/one) two > /opt/two; {interfaces}"], network=True), log=log)
        sandbox.run(Command(["sh", "-c", f"cat /opt/two; {interfaces}"]), log=log)
    printed = [line for line in log.text.splitlines() if not line.startswith(("#", "["))]
    assert printed[1:] == ["one two", "1"]
    assert int(printed[0]) == len(Path("/proc/net/dev").read_text().splitlines()) - 2


@pytest.mark.environment
def test_changes_are_discarded_unless_kept(contained: DockerEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    work, look = tmp_path / "work", ["sh", "-c", "cat /opt/left || true"]
    with contained.open(work, keep=True, caches="test") as sandbox:
        sandbox.run(Command(["sh", "-c", "echo still here > /opt/left"]), log=log)
    with contained.open(work, keep=True, as_left=True, caches="test") as sandbox:
        sandbox.run(Command(look), log=log)
    assert "\nstill here\n" in log.text
    with contained.open(work, keep=True, caches="test") as sandbox:
        sandbox.run(Command(look), log=log)
    assert "cat: /opt/left: No such file" in log.text
    with contained.open(work, as_left=True, caches="test") as sandbox:
        sandbox.run(Command(look), log=log)
    assert log.text.count("still here") == 2  # the command that wrote it has the words too
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


@pytest.mark.environment
def test_idle_command_in_container_ends(contained: DockerEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    works = "import time\nend = time.monotonic() + 8\nwhile time.monotonic() < end: pass"
    limits = HangLimits(idle=4)
    with contained.open(tmp_path / "work", caches="test") as sandbox, metered() as meter:
        with hang_limits("the check", limits, log) as watched:
            sandbox.run(Command(["python", "-c", works]), log=watched)
        assert meter.usage.processors > 2
        with pytest.raises(CommandHangs, match="no processor time used"), hang_limits("x", limits, log) as watched:
            sandbox.run(Command(["sleep", "120"]), log=watched)


@pytest.mark.environment
@pytest.mark.parametrize("status", [0, 3])
def test_processes_end_with_their_command(
    contained: DockerEnvironment, clean_root: RootfsEnvironment, tmp_path: Path, log: MemoryLog, status: int
) -> None:
    """A build that starts again must not meet the compilers of the first one."""
    writing = "while :; do echo x >> /build/written; sleep 0.1; done"
    script = f"(setsid sh -c '{writing}') >/dev/null 2>&1 & ({writing}) & sleep 1; exit {status}"
    for environment in (contained, clean_root):
        work = tmp_path / type(environment).__name__
        with environment.open(work, caches="test") as sandbox:
            with suppress(CommandFailed):
                sandbox.run(Command(["sh", "-c", script]), log=log)
            written = (work / "written").stat().st_size
            sandbox.run(Command(["sleep", "0.5"]), log=log)
            assert (work / "written").stat().st_size == written > 0


@pytest.mark.environment
def test_kept_image_is_removed_after_its_folder(contained: DockerEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with connect() as client:
        with contained.open(tmp_path / "one", keep=True, caches="test") as sandbox:
            sandbox.run(Command(["touch", "/opt/left"]), log=log)
        assert len(owned(client.api.images(), tmp_path / "one")) == 1
        shutil.rmtree(tmp_path / "one")
        with contained.open(tmp_path / "two", caches="test"):
            assert owned(client.api.images(), tmp_path / "one") == []


@pytest.mark.environment
def test_command_errors_equal_those_of_rootfs(contained: DockerEnvironment, tmp_path: Path, log: MemoryLog) -> None:
    with contained.open(tmp_path / "work", caches="test") as sandbox:
        with pytest.raises(CommandFailed, match=r"^sh failed with exit status 7$") as caught:
            sandbox.run(Command(["sh", "-c", "echo the reason; printf 'caf\\351'; exit 7"]), log=log)
        assert (caught.value.status, caught.value.output) == (7, "the reason\ncaf\ufffd")
        with pytest.raises(CommandFailed) as caught:
            sandbox.run(Command(["sh", "-c", "kill -ILL $$"]), log=log)
        assert caught.value.status == 128 + 4
        with pytest.raises(CommandFailed, match="no-such-program failed") as caught:
            sandbox.run(Command(["no-such-program"]), log=log)
        assert "executable file not found" in caught.value.output
    assert "# exit 7 after " in log.text


@pytest.mark.environment
def test_output_is_logged_while_command_runs(contained: DockerEnvironment, tmp_path: Path) -> None:
    came: list[float] = []
    log = LogFile(tmp_path / "log", lambda line: came.append(time.monotonic()))
    with contained.open(tmp_path / "work", caches="test") as sandbox:
        sandbox.run(Command(["sh", "-c", "echo first; sleep 2; echo last"]), log=log)
    _, first, last, _ = came
    assert last - first > 1.5


@pytest.mark.environment
def test_memory_limit_is_reported_with_hint(
    contained: DockerEnvironment, tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORY_DOCKER_MEMORY", "300m")
    with contained.open(tmp_path / "work", caches="test") as sandbox, pytest.raises(CommandFailed) as caught:
        sandbox.run(Command(["python", "-c", "x = bytearray(1_000_000_000)"]), log=log)
    assert caught.value.status == 128 + 9
    assert "memory limit of 0.3 GB" in caught.value.output.splitlines()[-1]
    assert "FACTORY_DOCKER_MEMORY" in (hint_for(caught.value.output) or "")


@pytest.mark.environment
def test_stopped_build_leaves_no_partial_files(
    docker_engine: None, hybrid: RootfsEnvironment, layout: Layout, tmp_path: Path, log: MemoryLog
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "build.ninja").write_text(NINJA)
    (work / "backend.py").write_text(BACKEND)
    environment = DockerEnvironment(root=hybrid.root, store=layer_store(layout))
    with cancellation.working_under(cancellation.Stop()) as stop, environment.open(work, caches="test") as sandbox:
        asker = threading.Thread(target=ask_when_both_are_begun, args=(work, stop))
        asker.start()
        with pytest.raises(TimeLimitReached):
            sandbox.run(Command(["python3", "backend.py", "sh", "-c", "ninja -j2 && true"]), log=log)
        asker.join()
    assert {path.name for path in work.iterdir() if not path.name.startswith(".")} == {"backend.py", "build.ninja"}


SLEEP = """
import sys
from pathlib import Path
from factory.model.target import PYTHONS
from factory.stages.environments.docker.environment import DockerEnvironment
from factory.stages.environments.roots import check_root
from factory.model.protocols import Command
from factory.util.paths import default_layout
from factory.util.log import LogFile
from tests.support.layer_stores import layer_store
store = layer_store(default_layout())
work, root = Path(sys.argv[1]), check_root(store, PYTHONS[0])
with DockerEnvironment(root=root, store=store).open(work, caches="test") as sandbox:
    sandbox.run(Command(["touch", "/opt/written"], network=True), log=LogFile(work / "log"))
    sandbox.run(Command(["sh", "-c", "echo started > /build/started; sleep 1000"]), log=LogFile(work / "log"))
"""


@pytest.mark.environment
def test_killed_process_leaves_no_container_and_no_image(
    contained: DockerEnvironment, tmp_path: Path, log: MemoryLog
) -> None:
    process = subprocess.Popen([sys.executable, "-c", SLEEP, str(tmp_path)])
    wait_until((tmp_path / "started").is_file, seconds=1800, process=process)
    process.kill()
    process.wait()
    with connect() as client:
        wait_until(lambda: owned(client.api.containers(all=True), process.pid) == [])
        assert len(owned(client.api.images(), process.pid)) == 1
        with contained.open(tmp_path / "work", caches="test") as sandbox:
            sandbox.run(Command(["true"]), log=log)
            assert len(owned(client.api.containers(all=True), os.getpid())) == 1
        assert owned(client.api.images(), process.pid) == []
        assert owned(client.api.containers(all=True), os.getpid()) == []


def owned(things: list[dict[str, dict[str, str]]], owner: int | Path) -> list[str]:
    """Return the labels of containers or images of a process or folder."""
    owners = [(thing["Labels"] or {}).get("riscv64-wheel-factory.owner", "") for thing in things]
    return [label for label in owners if f" {owner} " in f"{label} "]


@pytest.mark.environment
def test_shell_in_container_returns_exit_status(docker_engine: None, fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    script = "gcc -dumpmachine; pwd; exit 3"
    inside = checkout.factory("shell", "--environment", "docker", "vectors-c", "--", "sh", "-c", script)
    assert (inside.returncode, inside.stdout.split()) == (3, ["riscv64-linux-gnu", "/build"]), inside.stderr


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)


def test_connect_without_engine_reports_address_and_hint(no_engine: None) -> None:
    with pytest.raises(PrerequisiteMissing, match=f"^Docker engine {NO_ENGINE}: ") as caught, connect():
        pass
    assert caught.value.hint is not None
    assert "apt-get install docker.io" in caught.value.hint
    assert "--environment rootfs" in caught.value.hint


def test_doctor_checks_engine_only_for_docker_environment(no_engine: None, tmp_path: Path) -> None:
    assert "Docker" not in {finding.name for finding in examine(Layout(tmp_path))}
    (finding,) = (finding for finding in examine(Layout(tmp_path), "docker") if finding.name == "Docker")
    assert (finding.ok, NO_ENGINE in finding.seen, "docker.io" in finding.mend) == (False, True, True)


@pytest.mark.environment
def test_build_without_engine_exits_with_prerequisite_status(fresh_cache: Path, tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout", fresh_cache)
    failed = checkout.factory("build", "vectors-c", "--environment", "docker", DOCKER_HOST=NO_ENGINE)
    assert failed.returncode == PrerequisiteMissing.exit_code
    assert f"Docker engine {NO_ENGINE}: " in failed.stderr
    assert "Traceback" not in failed.stderr


OPEN = """
import sys
from pathlib import Path
from factory.stages.environments.docker.environment import DockerEnvironment
from factory.stages.environments.base import Root
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
folder, root = Path(sys.argv[1]), Root(layers=(), variables={})
with DockerEnvironment(root=root, store=layer_store(Layout(folder))).open(folder / "work", caches="test"):
    pass
"""


@pytest.mark.environment
def test_open_in_user_namespace_requires_machine_root(tmp_path: Path) -> None:
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", OPEN, str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert "PrerequisiteMissing: " in refused.stderr
    assert "user namespace" in refused.stderr
    assert "as root" in refused.stderr


def test_limits_default_to_machine_and_follow_variables() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert limits({}) == Limits(memory=int(total * 0.9), cpus=None)
    assert limits({"FACTORY_DOCKER_MEMORY": "2g", "FACTORY_DOCKER_CPUS": "1.5"}) == Limits(memory=2 << 30, cpus=1.5)


@pytest.mark.parametrize(("variable", "value"), [("FACTORY_DOCKER_MEMORY", "much"), ("FACTORY_DOCKER_CPUS", "two")])
def test_malformed_limit_names_variable(variable: str, value: str) -> None:
    with pytest.raises(EnvironmentSetupError, match=f"{variable}: .*{value}") as caught:
        limits({variable: value})
    assert (caught.value.hint or "").startswith("use a ")


class ElsewhereEngine:
    """An engine on another machine: its number of a command's process is that of a process of ours."""

    def __init__(self, process: int) -> None:
        self.api = self
        self._process = process

    def exec_inspect(self, _execution: str) -> dict[str, object]:
        return {"Pid": self._process, "ContainerID": "0123456789abcdef" * 4}


@pytest.mark.parametrize("inside", [False, True])
def test_end_of_a_command_ends_nothing_outside_its_container(inside: bool) -> None:
    """The second time it is in a sandbox, as a build of another factory is."""
    sandbox = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"] if inside else []
    process = subprocess.Popen([*sandbox, "sh", "-c", "sleep 60 & sleep 60"])
    try:
        wait_until(lambda: psutil.Process(process.pid).children(recursive=True))
        executions.end_cleanly(ElsewhereEngine(process.pid), "execution")  # type: ignore[arg-type]
        assert process.poll() is None
        assert len(psutil.Process(process.pid).children(recursive=True)) >= 1
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # the first one of a namespace takes the others with it
                child.kill()
        process.kill()
        process.wait()
