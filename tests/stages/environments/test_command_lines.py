"""The shell that runs cibuildwheel's commands passes variables without a command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

from factory.stages.environments import inside
from factory.stages.environments.docker.cibuildwheel import SHELL_FILE

SHELL = Path(inside.__file__).with_name(SHELL_FILE)
# As cibuildwheel writes them.
COMMANDS = """
(
cd /
env CANARY='two
lines' PATH=/usr/bin:/bin 'odd%name=kept' bash -c 'echo "$CANARY"; env | grep odd; echo "${BASH_ENV-none}"; exit 7'
printf "%04d%s\\n" $? end
)
(
env  bash -c 'type -t env'
printf "%04d%s\\n" $? end
)
(
env A=1 no-such-program
printf "%04d%s\\n" $? end
)
"""


def shell(commands: str, path: str = "/usr/bin:/bin") -> str:
    variables = {"PATH": path, "BASH_ENV": str(SHELL)}
    return subprocess.run(["/bin/bash"], input=commands, env=variables, capture_output=True, text=True).stdout


def test_shell_runs_commands_as_env_does() -> None:
    assert shell(COMMANDS).splitlines() == [
        *("two", "lines", "odd%name=kept", "none", "0007end"),
        *("file", "0000end"),
        "0127end",
    ]


def test_shell_sets_variables_without_a_program(tmp_path: Path) -> None:
    """An `env` that is found in PATH would be started with the variables on its command line."""
    (tmp_path / "env").write_text("#!/bin/sh\necho started\n")
    (tmp_path / "env").chmod(0o755)
    shown = shell("(\nenv CANARY=1 sh -c 'echo $CANARY'\n)\n", f"{tmp_path}:/usr/bin:/bin")
    assert shown == "1\n"
