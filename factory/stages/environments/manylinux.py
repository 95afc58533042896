"""A root that meets the contract of a manylinux image, so that any project's cibuildwheel builds in it.

What cibuildwheel and the projects' own configuration expect of such an image: interpreters with pip and build in
/opt/python, auditwheel with its policy chosen by variables, and the common tools on PATH. pip and auditwheel run on the
native Python where the root has one (inside/sitecustomize.py), since most of such a job's time would be theirs.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.host.network import CA_INSIDE, CA_VARIABLES
from factory.model.artifacts import PackagePin
from factory.model.target import BASELINE_CPU, PYTHONS, Target
from factory.stages.environments import inside
from factory.stages.environments.base import BASE_PATH, BUILD_VENV_PATH, COMMON, NATIVE_PATH, UV_PATH, Root, RootRequest
from factory.stages.environments.debian import bootstrap
from factory.stages.environments.docker.image import REPOSITORY, ImageConfig
from factory.stages.environments.layers import ensure_layer
from factory.stages.environments.rootfs import change_root
from factory.stages.environments.roots import MODES
from factory.util.atomic_files import sha256_of
from factory.util.log import LogSink, OpenStage
from factory.util.paths import Layout
from factory.util.scratch import discard

# What the packages of projects call in their builds and their before-all commands, beside the compilers.
PACKAGES = ("bzip2", "ca-certificates", "curl", "file", "git", "make", "patch", "patchelf", "unzip", "xz-utils")
# One word: a name with a slash could be pulled from a registry by whoever lacks the image.
IMAGE_REPOSITORY = f"{REPOSITORY}-manylinux"
INSIDE = Path(inside.__file__).parent
INSIDE_FILES = ("sitecustomize.py", "as_riscv64.py", "manylinux-entrypoint", "manylinux-interpreters")
# cibuildwheel runs its own helpers with the Python in this folder, of whatever version. It has no pip, so that nothing
# is built with it.
HELPER = "/opt/python/cp39-cp39"
TOOLS = "/opt/tools"
# What only fits a build in a folder and an environment of the factory's own.
DROPPED_VARIABLES = {*COMMON, "VIRTUAL_ENV"} - {"HOME", "LANG"}
# CMake is a native program where the root has such; it asks the root's `uname` for the processor, which is riscv64's.
FILL = f"""
set -eu
auditwheel=$1
shift
platform=
if [ -d /opt/native ]; then
    platform="--python-platform x86_64-unknown-linux-gnu"
    install -D -m 644 /build/as_riscv64.py /opt/native/lib/as_riscv64.py
    for python in "$@"; do install -m 644 /build/sitecustomize.py "/etc/python$python/sitecustomize.py"; done
fi
install="uv pip install --link-mode copy --only-binary :all: --python"

make() {{  # environment, its Python, its requirements
    folder=$1
    "$2" -m venv --without-pip "$folder"
    shift 2
    $install "$folder/bin/python" "$@"
    "$folder/bin/python" -m compileall -q --invalidation-mode timestamp "$folder/lib"
    uv pip list --quiet --python "$folder/bin/python" --format json > "/build/${{folder##*/}}.json"
}}

for python in "$@"; do
    tag=cp$(echo "$python" | tr -d .)
    make "/opt/python/$tag-$tag" "python$python" pip build
done
mkdir -p {HELPER}/bin
ln -s /usr/bin/python{bootstrap.PYTHON} {HELPER}/bin/python
make {TOOLS} python{bootstrap.PYTHON} "auditwheel==$auditwheel" pipx
$install {TOOLS}/bin/python $platform --target /opt/cmake cmake
rm -r /opt/cmake/bin
cd /usr/local/bin
ln -s {TOOLS}/bin/auditwheel {TOOLS}/bin/pipx /opt/cmake/cmake/data/bin/cmake /opt/cmake/cmake/data/bin/c[pt]* .
install -m 755 /build/manylinux-entrypoint /build/manylinux-interpreters .
"""
# A native Python's own standard library, which its package leaves to be compiled at installation.
COMPILE_NATIVE = """
for python in /opt/native/usr/bin/python3*; do
    [ -x "$python" ] || continue
    "$python" -I -S -m compileall -q --invalidation-mode timestamp "/opt/native/usr/lib/${python##*/}" || true
done
"""


def manylinux_root(layout: Layout, mode: str, request: RootRequest, open_stage: OpenStage) -> Root:
    """The root of the given mode with every Python, and the interpreters and tools of a manylinux image."""
    request = replace(request, apt=(*PACKAGES, *request.apt))
    roots = {python: MODES[mode](layout, replace(request, python=python), open_stage) for python in PYTHONS}
    layers = tuple(dict.fromkeys(layer for root in roots.values() for layer in root.layers))
    auditwheel = metadata.version("auditwheel")
    definition = {
        "over": [layer.digest for layer in layers],
        "fill": [FILL, COMPILE_NATIVE],
        "inside": {name: sha256_of(INSIDE / name) for name in INSIDE_FILES},
        "auditwheel": auditwheel,
        "pythons": PYTHONS,
    }

    def make(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        work = tree.with_name("work")
        work.mkdir()
        for name in INSIDE_FILES:
            shutil.copy(INSIDE / name, work)
        path = f"PATH={NATIVE_PATH}:{UV_PATH}:{BASE_PATH}"
        fill = ["env", path, "sh", "-c", FILL, "fill", auditwheel, *PYTHONS]
        try:
            change_root(layout, layers, tree, [["sh", "-c", COMPILE_NATIVE], fill], log, network=True)
        except CommandFailed as error:
            raise EnvironmentSetupError(
                f"the interpreters and tools of the manylinux image could not be installed:\n{error.output}",
                hint=f"the whole log is {log.path}; the package index is the one that pip and uv of this host use",
            ) from error
        pins = {pin for listed in work.glob("*.json") for pin in _listed(listed)}
        discard(work)
        return tuple(sorted(pins, key=lambda pin: (pin.name, pin.version)))

    layer = ensure_layer(layout.layers, "manylinux", definition, make, open_stage)
    return Root(layers=(*layers, layer), variables=_variables(roots[request.python]))


def manylinux_image(root: Root) -> ImageConfig:
    """What containers of a manylinux root start with."""
    return ImageConfig(variables=root.variables, entrypoint=("manylinux-entrypoint",), command=("/bin/bash",))


def _listed(path: Path) -> list[PackagePin]:
    """What `uv pip list` wrote."""
    return [PackagePin(name=item["name"], version=item["version"]) for item in json.loads(path.read_text())]


def _variables(root: Root) -> dict[str, str]:
    """What containers start with: as in manylinux images, so that auditwheel goes no further than the target's tag."""
    platform = Target().platform_ceiling
    policy, _, architecture = platform.rpartition("_")
    first = root.variables["PATH"].replace(f":{BUILD_VENV_PATH}", "")
    return {
        **{name: value for name, value in root.variables.items() if name not in DROPPED_VARIABLES},
        # Whoever has other authorities shows the container a bundle of their own there.
        **dict.fromkeys(CA_VARIABLES, CA_INSIDE),
        "AUDITWHEEL_PLAT": platform,
        "AUDITWHEEL_POLICY": policy,
        "AUDITWHEEL_ARCH": architecture,
        "PATH": first,
        "QEMU_CPU": BASELINE_CPU,
    }
