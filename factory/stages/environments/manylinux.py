"""A root that is compatible with manylinux images, for any project's cibuildwheel.

cibuildwheel and projects expect interpreters with pip and build in /opt/python, auditwheel with its policy set by
variables, and the common tools on PATH. pip and auditwheel run on the native Python if the root has one
(inside/sitecustomize.py): under QEMU they would take most of a job's time.
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
from factory.stages.environments.base import Root, RootRequest
from factory.stages.environments.docker.image import REPOSITORY, ImageConfig
from factory.stages.environments.layers import Layer, LayerStore
from factory.stages.environments.rootfs import change_root
from factory.stages.environments.roots import MODES
from factory.stages.environments.variables import BASE_PATH, BUILD_VENV_PATH, COMMON, NATIVE_PATH, UV_PATH
from factory.util.atomic_files import sha256_of
from factory.util.log import LogSink
from factory.util.scratch import discard

# Programs that projects call in builds and before-all commands, besides the compilers.
PACKAGES = ("bzip2", "ca-certificates", "curl", "file", "git", "make", "patch", "patchelf", "unzip", "xz-utils")
# Without a slash, so that an engine without the image does not pull a name like it from a registry.
IMAGE_REPOSITORY = f"{REPOSITORY}-manylinux"
INSIDE = Path(inside.__file__).parent
INSIDE_FILES = ("sitecustomize.py", "as_riscv64.py", "manylinux-entrypoint", "manylinux-interpreters")
# cibuildwheel runs its helpers with the Python here, of any version. It has no pip, so no wheel is built with it.
HELPER = "/opt/python/cp39-cp39"
TOOLS = "/opt/tools"
# Variables of the factory's own builds.
DROPPED_VARIABLES = {*COMMON, "VIRTUAL_ENV"} - {"HOME", "LANG"}
# Compiles the native Pythons' standard libraries, which Debian compiles at installation.
COMPILE_NATIVE = """
for python in /opt/native/usr/bin/python3*; do
    [ -x "$python" ] || continue
    "$python" -I -S -m compileall -q --invalidation-mode timestamp "/opt/native/usr/lib/${python##*/}" || true
done
"""


def manylinux_root(store: LayerStore, mode: str, request: RootRequest) -> Root:
    """Return a mode's root with every Python and the tools of a manylinux image."""
    request = replace(request, apt=(*PACKAGES, *request.apt))
    roots = {python: MODES[mode](store, replace(request, python=python)) for python in PYTHONS}
    layers = tuple(dict.fromkeys(layer for root in roots.values() for layer in root.layers))
    layer = _manylinux_layer(store, layers, fill_script(request.distribution.python))
    return Root(layers=(*layers, layer), variables=_variables(roots[request.python]))


def fill_script(python: str) -> str:
    """Return the script that installs interpreters, and tools that run on `python`.

    CMake is a native program if the root has native tools. It asks the root's `uname` for the processor: riscv64.
    """
    return f"""
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
ln -s /usr/bin/python{python} {HELPER}/bin/python
make {TOOLS} python{python} "auditwheel==$auditwheel" pipx
$install {TOOLS}/bin/python $platform --target /opt/cmake cmake
rm -r /opt/cmake/bin
cd /usr/local/bin
ln -s {TOOLS}/bin/auditwheel {TOOLS}/bin/pipx /opt/cmake/cmake/data/bin/cmake /opt/cmake/cmake/data/bin/c[pt]* .
install -m 755 /build/manylinux-entrypoint /build/manylinux-interpreters .
"""


def _manylinux_layer(store: LayerStore, below: tuple[Layer, ...], script: str) -> Layer:
    auditwheel = metadata.version("auditwheel")
    definition = {
        "over": [layer.digest for layer in below],
        "fill": [script, COMPILE_NATIVE],
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
        fill = ["env", path, "sh", "-c", script, "fill", auditwheel, *PYTHONS]
        try:
            change_root(store.layout, below, tree, [["sh", "-c", COMPILE_NATIVE], fill], log, network=True)
        except CommandFailed as error:
            raise EnvironmentSetupError(
                f"manylinux image: installing interpreters and tools failed:\n{error.output}",
                hint=f"read the log {log.path}; the package index is the one that pip and uv of this host use",
            ) from error
        pins = {pin for listed in work.glob("*.json") for pin in _listed(listed)}
        discard(work)
        return tuple(sorted(pins, key=lambda pin: (pin.name, pin.version)))

    return store.ensure("manylinux", definition, make)


def manylinux_image(root: Root) -> ImageConfig:
    """Return the configuration of the image of a manylinux root."""
    return ImageConfig(variables=root.variables, entrypoint=("manylinux-entrypoint",), command=("/bin/bash",))


def _listed(path: Path) -> list[PackagePin]:
    """Return the packages in the output of `uv pip list`."""
    return [PackagePin(name=item["name"], version=item["version"]) for item in json.loads(path.read_text())]


def _variables(root: Root) -> dict[str, str]:
    """Return the variables of manylinux images; they limit auditwheel's platform tag."""
    platform = Target().platform_ceiling
    policy, _, architecture = platform.rpartition("_")
    first = root.variables["PATH"].replace(f":{BUILD_VENV_PATH}", "")
    return {
        **{name: value for name, value in root.variables.items() if name not in DROPPED_VARIABLES},
        # Mount another CA bundle there to use other authorities.
        **dict.fromkeys(CA_VARIABLES, CA_INSIDE),
        "AUDITWHEEL_PLAT": platform,
        "AUDITWHEEL_POLICY": policy,
        "AUDITWHEEL_ARCH": architecture,
        "PATH": first,
        "QEMU_CPU": BASELINE_CPU,
    }
