"""Commands and settings that the site offers for copying.

Each is run with the real pip, uv and board finder.
"""

from __future__ import annotations

import html
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.publish.index_files import write_files
from factory.publish.ledger import Ledger
from factory.publish.lock_files import write_lock
from factory.publish.release import Mirrored
from factory.publish.reports import write_report
from factory.publish.server import serve
from factory.publish.wheel_metadata import describe_wheel
from factory.site.states import MISSING
from factory.site.writer import write_site
from tests.support.clients import ALONE, UV_FOR_RISCV
from tests.support.ledgers import build, make_coverage, pin, report
from tests.support.snippets import inline_commands_below, snippets_below
from tests.support.wheelmaker import RISCV, make_wheel, release_of

OLDEST = RISCV.replace("2_38", "2_31")  # the oldest platform for riscv64 that uv knows
ELSEWHERE = ("winonly; sys_platform == 'win32'", "pypyonly; implementation_name == 'pypy'")
# What the index has, and what an installation of it takes.
CLOSURES = {"engine": {"engine", "fast", "plain"}, "fast": {"fast"}, "plain": {"plain"}}
# With these, pip on any machine installs as on a board with Python 3.13 and glibc 2.38.
ON_BOARD = {
    "PIP_ONLY_BINARY": ":all:",
    "PIP_PLATFORM": "manylinux_2_38_riscv64 manylinux_2_31_riscv64",
    "PIP_PYTHON_VERSION": "3.13",
    "PIP_TARGET": "installed",
}


@dataclass(frozen=True)
class Place:
    """The address of the site, and the home of a user who copies from it."""

    url: str
    home: Path

    def run(self, command: str, status: int = 0, variables: Mapping[str, str] = {}) -> str:
        """Run a command with `sh` in the home, and return its output."""
        kept = {name: value for name, value in ALONE.items() if not name.startswith("XDG_")}
        programs = f"{self.home / 'bin'}{os.pathsep}{kept['PATH']}"
        own = {"HOME": str(self.home), "PATH": programs, "UV_CACHE_DIR": str(self.home / "cache")}
        finished = subprocess.run(
            ["sh", "-ec", command], cwd=self.home, env={**kept, **own, **variables}, capture_output=True, text=True
        )
        assert finished.returncode == status, (command, finished.stdout, finished.stderr)
        return finished.stdout + finished.stderr

    def write(self, path: str, text: str) -> None:
        (self.home / path).parent.mkdir(parents=True, exist_ok=True)
        (self.home / path).write_text(f"{text}\n")

    def installed(self) -> set[str]:
        return {path.stem for path in (self.home / "installed").glob("*.py")}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an index of `engine`, compiled for riscv64, with what it needs there."""
    folder = tmp_path_factory.mktemp("site")
    paths = [
        make_wheel(folder / "wheels", "engine", tag=RISCV, requires=["plain", "fast", *ELSEWHERE]),
        make_wheel(folder / "wheels", "fast", tag=OLDEST),
        make_wheel(folder / "wheels", "plain"),
    ]
    files = {release_of(path): path for path in paths}
    ledger = Ledger(folder / "out/ledger")
    write_files(tuple(files), files.__getitem__, folder / "out")
    for release in files:
        ledger.add(release)
    write_report(ledger.folder, "engine", report(paths[0].name, build=build()))
    write_site(ledger, folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def site(out: Path) -> Iterator[str]:
    """Serve the index, with a lock file that names the address."""
    (plain,) = (path for path in out.glob("files/plain-*.whl"))
    with serve(out) as url:
        wheel = f'{{ url = "{url}/files/{plain.name}", hashes = {{ sha256 = "{release_of(plain).sha256}" }} }}'
        package = f'[[packages]]\nname = "plain"\nversion = "1.0"\nwheels = [{wheel}]\n'
        write_lock(out / "ledger", "plain", "3.13", f'lock-version = "1.0"\ncreated-by = "test"\n\n{package}')
        write_site(Ledger(out / "ledger"), out)
        yield url


@pytest.fixture(scope="module")
def snippets(site: str, out: Path) -> set[str]:
    """Return the snippets of all pages as JavaScript shows them, with a name in place of NAME."""
    # The pages of `fast` have those of `plain` with another name.
    pages = {page: texts for page, texts in snippets_below(out).items() if not page.startswith("project/fast/")}
    found = {text for texts in pages.values() for text in texts}
    return {text.replace("URL/", f"{site}/").replace("NAME", "engine") for text in found}


@pytest.fixture
def place(site: str, tmp_path: Path) -> Place:
    """Make a home where the programs are those of this Python."""
    place = Place(site, tmp_path)
    for name, module in {"pip": "pip", "uv": "uv", "factory": "factory.cli"}.items():
        place.write(f"bin/{name}", f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"')
        (tmp_path / "bin" / name).chmod(0o755)
    return place


def name_in(text: str) -> str:
    return text.split()[-1].partition("=")[0]


def pip_install(place: Place, text: str) -> None:
    place.run(text, variables=ON_BOARD)
    assert place.installed() == CLOSURES[name_in(text)]


def pip_lock(place: Place, text: str) -> None:
    place.run(text, variables={"PIP_TARGET": "installed"})
    assert place.installed() == {"plain"}


def uv_install(place: Place, text: str) -> None:
    place.run(f"{text} --target installed --python {sys.executable} {' '.join(UV_FOR_RISCV)}")
    assert place.installed() == CLOSURES[name_in(text)]


def uv_project(place: Place, text: str) -> None:
    """Lock what riscv64 needs, all from the index: nothing that only other machines need."""
    place.write("pyproject.toml", f'[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n\n{text}')
    place.run("unset UV_NO_CONFIG; uv add engine", variables={"UV_NO_SYNC": "1", "UV_PYTHON": sys.executable})
    lock = tomllib.loads((place.home / "uv.lock").read_text())
    found = {each["name"]: each["source"] for each in lock["package"] if each["name"] != "app"}
    assert found == {name: {"registry": f"{place.url}/simple/"} for name in CLOSURES["engine"]}


def pip_settings(place: Place, text: str) -> None:
    place.write(".config/pip/pip.conf", text)
    place.run("unset PIP_CONFIG_FILE; pip install engine", variables=ON_BOARD)
    assert place.installed() == CLOSURES["engine"]


def uv_settings(place: Place, text: str) -> None:
    place.write(".config/uv/uv.toml", text)
    place.run(f"unset UV_NO_CONFIG; uv pip install plain --target installed --python {sys.executable}")
    assert place.installed() == {"plain"}


def download(place: Place, text: str) -> None:
    place.run(text)
    found = {path.name.partition("-")[0] for path in (place.home / "wheels").iterdir()}
    assert found == CLOSURES[text.split()[1]]


def offline(place: Place, text: str) -> None:
    place.run(f"pip download --index-url {place.url}/simple/ --dest wheels {name_in(text)}", variables=ON_BOARD)
    place.run(text, variables=ON_BOARD)
    assert place.installed() == CLOSURES[name_in(text)]


def finder(place: Place, text: str) -> None:
    """Run the board finder with the /proc/cpuinfo of a board, since this machine is none."""
    place.run(f"curl -fsSLO {place.url}/static/board.py")
    place.write("cpuinfo", "isa: rv64imafdc")
    assert f"pip install --index-url {place.url}/simple/ NAME" in place.run(f"{text} --cpuinfo cpuinfo")


def rebuild(place: Place, text: str) -> None:
    """Enter both commands where there is neither recipe nor record.

    A usage error has another exit status.
    """
    for name in ("recipes", "index"):
        (place.home / name).mkdir()
    build_command, rebuild_command = text.splitlines()
    assert "engine" in place.run(build_command, status=3)
    assert "no build record" in place.run(rebuild_command, status=12)


RUNNERS: dict[str, Callable[[Place, str], None]] = {
    "pip install --no-index": offline,
    "pip install -r": pip_lock,
    "pip install --index-url": pip_install,
    "uv pip install": uv_install,
    "[tool.uv]": uv_project,
    "[global]": pip_settings,
    "[[index]]": uv_settings,
    "echo": download,
    "curl": finder,
    "python3 board.py": finder,
    "factory": rebuild,
}


@pytest.mark.parametrize("start", RUNNERS)
def test_snippet_works_with_the_real_tool(start: str, snippets: set[str], place: Place, tmp_path: Path) -> None:
    wanted = sorted(text for text in snippets if text.startswith(start))
    assert wanted
    for number, text in enumerate(wanted):
        home = tmp_path / str(number)
        home.mkdir()
        (home / "bin").symlink_to(place.home / "bin")
        RUNNERS[start](Place(place.url, home), text)


def test_every_snippet_of_the_site_is_run(snippets: set[str]) -> None:
    assert [text for text in snippets if not text.startswith(tuple(RUNNERS))] == []


def test_commands_in_sentences_work(site: str, out: Path, place: Place) -> None:
    """`uv add` and `pip install` are run with their settings above."""
    make_coverage(Ledger(out / "ledger"), [pin("absent", "1.0", MISSING)])
    write_site(Ledger(out / "ledger"), out)
    place.write("requirements.txt", "plain")
    upstream = {"PIP_INDEX_URL": f"{site}/simple/", "FACTORY_CACHE": str(place.home / "factory")}
    # How each is run: some only with what the machine of the tests lacks.
    run_as = {
        "python3 -m venv env; . env/bin/activate": 'python3 -m venv env; . env/bin/activate; test -n "$VIRTUAL_ENV"',
        "factory coverage -r requirements.txt": "factory coverage -r requirements.txt",
        "factory new NAME --try": "factory new --help | grep -- --try",
        "ldd --version": "ldd --version",
        "cat /proc/cpuinfo": "cat /proc/cpuinfo",
    }
    found = {text for text in inline_commands_below(out) if not text.startswith("uv add ")}
    assert found == run_as.keys()
    for command in run_as.values():
        assert place.run(command, variables=upstream) or "activate" in command


def test_download_is_for_the_board(place: Place, tmp_path: Path) -> None:
    """A package that only the newer Python has is not looked for with the older one, nor what only a PC needs."""
    needed = ("other; platform_machine != 'riscv64'",)
    wheel = make_wheel(tmp_path / "made", "late", tag=RISCV.replace("313", "314"), requires=needed)
    release = describe_wheel(wheel, Mirrored())
    ledger, out = Ledger(tmp_path / "out/ledger"), tmp_path / "out"
    write_files([release], lambda _: wheel, out)
    ledger.add(release)
    write_site(ledger, out)
    texts = snippets_below(out)["project/late/index.html"]
    (line,) = (text for text in texts if text.startswith("echo late | uv"))
    with serve(out) as url:
        place.run(line.replace("URL/", f"{url}/"))
    assert [path.name for path in (place.home / "wheels").iterdir()] == [wheel.name]
    page = html.unescape((out / "project/late/index.html").read_text())
    assert "the board\u2019s Python (here 3.14)" in page
    assert 'requires-python = ">=3.14"' in page
