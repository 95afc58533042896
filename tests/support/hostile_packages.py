"""Packages that attack the machine: a source with a build backend, and a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

from tests.support.hostile_attacks import ALL, RUST

# Printed when the code of an attack begins, and when it gets what it should not.
STARTED, ESCAPED = "ATTACK BEGINS", "ESCAPED"
PYPROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
"""
RECIPE = """
[package]
name = "{name}"
version = "1.0"
[source]
kind = "local"
path = "{source}"
[check]
profiles = ["rv64gc"]
"""
FAILED = "raise SystemExit('not to be published')\n"
SMOKE = """
import json, os
import {module}
answer = {{"shown": "imported", "facts": {{}}, "tokens": [], "logits": []}}
open(os.environ["FACTORY_RESULT"], "w").write(json.dumps(answer))
"""
# The tools that attacks use.
PRELUDE = """
import contextlib, ctypes, glob, json, os, pathlib, re, shutil, signal, socket, stat, subprocess, sys, textwrap, time
import zipfile

OUTSIDE, PORT, SOCKET, VICTIM, NAME = {outside!r}, {port}, {socket!r}, {victim}, {wheel!r}
RELAY = "/inputs/ccache-remote/socket"
CRATE = "[package]\\nname = 'crate'\\nversion = '1.0.0'\\nedition = '2021'\\n[lib]\\npath = 'lib.rs'\\n"
# Not to run: only commands with the network would.
PLANTED_MODULE = "print('ESC' + 'APED: a planted module runs', flush=True)\\n"


def escaped(text):
    print("ESC" + "APED", text, flush=True)


def attempt(what, action):
    with contextlib.suppress(Exception):
        action()
        escaped(what)


def attempt_quietly(action):
    with contextlib.suppress(Exception):
        action()


def read(path):
    attempt("read " + path, lambda: open(path).read())


def write(path, text="planted"):
    def action():
        with open(path, "w") as file:
            file.write(text)
    attempt("wrote " + path, action)


def plant(path):
    pathlib.Path(path).write_text("#!/bin/sh\\necho ESC'APED': $0 runs | tee /dev/stderr\\n")
    os.chmod(path, 0o755)


def under_qemu(code, python="/usr/bin/python3"):
    # With the files that this process has from others.
    subprocess.run([python, "-c", textwrap.dedent(code)], close_fds=False)


def native(code):
    if os.path.exists("/opt/native/bin/python-pure"):
        under_qemu(code, "/opt/native/bin/python-pure")


def nest(folder, name, times):
    os.chdir(folder)
    for _ in range(times):
        os.mkdir(name)
        os.chdir(name)


def replace_by_link(path, target):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def answer(text):
    pathlib.Path("/build/answer.json").write_text(text)
    os._exit(0)
"""
BACKEND = """
import base64, hashlib


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def wheel(members, link="", twice=False, is_recorded=False):
    info = NAME.rsplit("-", 3)[0] + ".dist-info"
    module = NAME.split("-")[0]
    sound = {{
        module + ".py": MODULE.encode(),
        info + "/METADATA": b"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
        info + "/WHEEL": b"Wheel-Version: 1.0\\nGenerator: demo\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    told = {{**sound, **members}} if is_recorded else sound
    record = "".join(f"{{name}},sha256={{digest(content)}},{{len(content)}}\\n" for name, content in told.items())
    record += info + "/RECORD,,\\n"
    with zipfile.ZipFile("/build/wheel/" + NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {{**sound, info + "/RECORD": record.encode(), **members}}.items():
            entry = zipfile.ZipInfo(name)
            if name == link:
                entry.external_attr = 0o120777 << 16
            archive.writestr(entry, content)
        if twice:
            archive.writestr(module + ".py", b"again")
    return NAME


def build_attack():
{build}


def question_attack():
{question}


def get_requires_for_build_wheel(config_settings=None):
    question_attack()
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    build_attack()
    if not os.path.lexists("/build/wheel/" + NAME):
        wheel({{}})
    return NAME
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The places of the machine that attacks aim at."""

    outside: Path
    port: int
    socket: str
    victim: int


def add_package(root: Path, name: str, machine: Machine) -> None:
    """Add an attack's package, or an innocent one, with its recipe to a checkout.

    The check of a build that attacks fails: its wheel is not to be published.
    """
    stage, code = ALL.get(name, ("", ""))
    module = name.replace("-", "_")
    source = root / "packages" / name
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    prelude = PRELUDE.format(
        outside=str(machine.outside),
        port=machine.port,
        socket=machine.socket,
        victim=machine.victim,
        wheel=f"{module}-1.0-py3-none-any.whl",
    )
    parts = {
        "build": _body(code if stage in ("build", "resume", "cache", "installed") else ""),
        "question": _body(code if stage == "question" else ""),
    }
    imported = f"{prelude}\nprint({STARTED!r}, flush=True)\n{dedent(code)}" if stage == "check" else ""
    backend = BACKEND.format(name=name, **parts)
    (source / "backend.py").write_text(f"{prelude}\nMODULE = {imported!r}\n{backend}")
    folder = root / "recipes" / name
    folder.mkdir(parents=True)
    recipe = RECIPE.format(name=name, source=f"../../packages/{name}")
    recipe += 'requires = ["iniconfig"]\n' if stage == "installed" else ""
    (folder / "recipe.toml").write_text(recipe + ("[build]\nrust = true\n" if name in RUST else ""))
    checked = stage in ("", "check", "installed")
    (folder / "smoke.py").write_text(SMOKE.format(module=module) if checked else FAILED)


def _body(code: str) -> str:
    begun = f"print({STARTED!r}, flush=True)\n" if code else "pass\n"
    return indent(begun + dedent(code).strip(), "    ")
