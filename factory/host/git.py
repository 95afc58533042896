"""git of this machine for repositories of strangers: confined, with settings of its own.

No configuration of the user, the machine or a repository counts, and no protocol that starts a program is allowed. The
machine's proxies and CA bundle are used, and of netrc the login of the one server that is asked.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from factory.errors import PrerequisiteMissing
from factory.host.network import RESOLVER_FILES, ca_bundle, logins_by_host, proxies
from factory.host.secrets import learn_secrets
from factory.host.user_settings import user_environment
from factory.util.atomic_files import write_file
from factory.util.confinement import FILE_BYTES, Limits, default_limits, run_tool
from factory.util.log import LogSink
from factory.util.paths import make_private

# The protocols that an address and its redirects may use, as GIT_ALLOW_PROTOCOL has them.
PROTOCOLS = {"https": "https", "http": "http:https", "file": "file"}
SETTINGS = """\
[safe]
	directory = *
[core]
	hooksPath = /dev/null
	attributesFile = /dev/null
	fsmonitor = false
	autocrlf = false
	eol = lf
	abbrev = 12
	bigFileThreshold = 64m
[user]
	name = factory
	email = factory@localhost
[tag]
	gpgSign = false
[gpg]
	program = /bin/false
[gpg "x509"]
	program = /bin/false
[gpg "ssh"]
	program = /bin/false
[tar]
	umask = 0022
[protocol]
	allow = never
[credential]
	helper =
[submodule]
	recurse = false
[fetch]
	unpackLimit = 1
	recurseSubmodules = false
[gc]
	auto = 0
[maintenance]
	auto = false
[http]
	lowSpeedLimit = 1024
	lowSpeedTime = 60
"""
# Of each of its processes. A tree of a few objects can stand for any number of files, which git lists in memory.
MEMORY_BYTES = 2 << 30
# Of what it prints: servers decide on the number of tags, and on what they say.
OUTPUT_CHARACTERS = 16 << 20
# Dates in what git prints are those of a commit; "now" is a constant too.
MOMENT = "315532802 +0000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """git with a folder of its own, for its settings, its home and repositories.

    Files that it writes have at most `file_bytes`.
    """

    folder: Path
    log: LogSink | None = None
    file_bytes: int = FILE_BYTES

    def run(self, *arguments: str, quiet: bool = True) -> str:
        """Run git without network; returns its output, or logs it unless `quiet`.

        Raises:
            CommandFailed: see `factory.util.process.run`.
            PrerequisiteMissing: git is not installed.
        """
        return self._run(arguments, {}, (), None if quiet else self.log, network=False)

    def ask(self, url: str, *arguments: str, quiet: bool = False) -> str:
        """Run git with access to the repository at an address, which must be safe to show.

        Raises:
            CommandFailed, PrerequisiteMissing: as `run`.
        """
        log = None if quiet else self.log
        parts = urlsplit(url)
        allowed = {"GIT_ALLOW_PROTOCOL": PROTOCOLS[parts.scheme]}
        if parts.scheme == "file":
            return self._run(arguments, allowed, (Path(unquote(parts.path)),), log, network=False)
        learn_secrets()
        environment = user_environment(os.environ)
        bundle = ca_bundle(environment)
        authority = {"GIT_SSL_CAINFO": str(bundle)} if bundle else {}
        files = [Path(name).resolve() for name in RESOLVER_FILES] + ([bundle, bundle.resolve()] if bundle else [])
        with self._login(parts.hostname or "", environment):
            variables = {**proxies(environment), **authority, **allowed}
            return self._run(arguments, variables, tuple(files), log, network=True)

    def _run(
        self,
        arguments: tuple[str, ...],
        variables: Mapping[str, str],
        readable: tuple[Path, ...],
        log: LogSink | None,
        *,
        network: bool,
    ) -> str:
        if shutil.which("git") is None:
            raise PrerequisiteMissing("git: program is not installed", hint="apt-get install git")
        return run_tool(
            ["git", *arguments],
            readable=readable,
            writable=[self.folder],
            env={**self._settings(), **variables},
            log=log,
            network=network,
            output_limit=OUTPUT_CHARACTERS,
            limits=Limits(processes=default_limits().processes, memory=MEMORY_BYTES, file_bytes=self.file_bytes),
        )

    def _settings(self) -> dict[str, str]:
        """Return the variables of every command; write the file of settings that they name."""
        make_private(self.folder)
        write_file(self.folder / "config", SETTINGS.encode())
        home = self.folder / "home"
        make_private(home)
        return {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.folder / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_AUTHOR_DATE": MOMENT,
            "GIT_COMMITTER_DATE": MOMENT,
            "GIT_TEST_DATE_NOW": MOMENT.partition(" ")[0],
        }

    @contextmanager
    def _login(self, host: str, environment: Mapping[str, str]) -> Iterator[None]:
        """Give the command netrc's login of one host.

        A default entry is for every host, so it is not used.
        """
        path = self.folder / "home/.netrc"
        path.unlink(missing_ok=True)
        found = logins_by_host(environment)
        if host in found and host != "default":
            user, _, password = found[host]
            make_private(self.folder)
            make_private(path.parent)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"machine {host} login {_quoted(user)} password {_quoted(password)}\n")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if escaped != text or not text or " " in text else text
