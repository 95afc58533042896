"""Virtual machines: QEMU boots Debian's riscv64 kernel and the base root.

A machine has no network. It runs the script on its second disk, and its output is the console.
"""

from __future__ import annotations

import lzma
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.errors import CommandFailed, EnvironmentSetupError
from factory.host import native_programs
from factory.model.artifacts import PackagePin
from factory.model.distribution import Distribution
from factory.stages.environments.debian.bootstrap import extract
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.debian.native_tools import trim
from factory.stages.environments.layers import Layer, LayerStore
from factory.util import cancellation
from factory.util.log import LogSink, Recording
from factory.util.process import TAIL_LINES, run
from factory.util.scratch import discard

# They count up when the layers change without their package lists.
EMULATOR_STEPS = 1
KERNEL_STEPS = 1
DISK_STEPS = 1
PROGRAM = "qemu-system-riscv64"
EMULATOR = "opt/qemu"
EMULATOR_PACKAGES = ("qemu-system-riscv",)
EMULATOR_UNUSED = ("usr/share/doc", "usr/share/lintian")
KERNEL_PACKAGES = ("linux-image-riscv64", "busybox-static")
# Modules of Debian's kernel for an ext4 file system on a virtio disk, in the order of loading.
MODULES = (
    "crypto/crc32c_generic",
    "lib/crc16",
    "fs/mbcache",
    "fs/jbd2/jbd2",
    "fs/ext4/ext4",
    "drivers/block/virtio_blk",
)
MOUNT = "/mnt"
SCRIPT = "run"
# Started by the kernel, instead of the root's own init.
INIT = f"""#!/bin/sh
b=/bin/busybox
for module in /modules/*; do $b insmod "$module"; done
$b mount -t devtmpfs devtmpfs /dev
$b mount -t ext4 -o ro /dev/vda /root
$b mount -t ext4 -o ro /dev/vdb /root{MOUNT}
$b mount -t devtmpfs devtmpfs /root/dev
$b mount -t proc proc /root/proc
$b mount -t sysfs sysfs /root/sys
$b mount -t tmpfs tmpfs /root/tmp
PATH=/usr/bin:/usr/sbin HOME=/root LANG=C.UTF-8 $b chroot /root /bin/sh {MOUNT}/{SCRIPT} 2>&1
$b printf '\\nmachine: exit status %s\\n' $?
$b poweroff -f
"""
_STATUS = re.compile(r"^machine: exit status (\d+)$", re.MULTILINE)
# Further disks of a machine, in order.
DISKS = ("/dev/vdc", "/dev/vdd", "/dev/vde")
SYSTEM_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
# Space for the file system's own tables.
SPARE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A machine's hardware: `cpu` as in QEMU_CPU, `memory` in bytes, `-accel`."""

    cpu: str
    processors: int
    memory: int
    accelerator: str = "tcg,thread=multi"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine:
    """A virtual machine: the layers of its emulator, kernel and root disk."""

    emulator: Layer
    kernel: Layer
    disk: Layer

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that determine its behaviour."""
        return self.emulator, self.kernel, self.disk

    def run(
        self, folder: Path, script: str, hardware: Hardware, *, disks: Sequence[Path] = (), seconds: float, log: LogSink
    ) -> str:
        """Run a shell script with a copy of `folder` at MOUNT; returns the console's output.

        The files `disks` are read-only disks of the script, in the order of DISKS. `seconds` limits all of it.

        Raises:
            CommandFailed: the script's exit status is not 0.
            EnvironmentSetupError: the script did not end in time; the message has the console's last lines.
        """
        image = folder.with_name(f"{folder.name}.ext4")
        (folder / SCRIPT).write_text(script, encoding="utf-8")
        make_image(folder, image, log)
        try:
            console = self._boot([image, *disks], hardware, seconds, log)
        finally:
            image.unlink(missing_ok=True)
        ended = _STATUS.search(console)
        if ended is None:
            raise _boot_error("stopped before the end of the script", console, log)
        if ended[1] != "0":
            output = _tail(console[: ended.start()])
            raise CommandFailed(
                f"virtual machine: script failed: exit status {ended[1]}", status=int(ended[1]), output=output
            )
        return console

    def _boot(self, disks: Sequence[Path], hardware: Hardware, seconds: float, log: LogSink) -> str:
        console = Recording(log)
        command = [
            *native_programs.program_command([self.emulator.tree / EMULATOR], PROGRAM),
            *self._options(disks, hardware),
        ]
        try:
            with cancellation.time_limit(seconds, lambda: EnvironmentSetupError("")) as stop:
                run(command, log=console, what=PROGRAM)
                stop.check()  # a terminated QEMU exits with status 0
        except CommandFailed as error:
            raise _boot_error(f"{PROGRAM} failed: {error.message}", console.text, log) from error
        except EnvironmentSetupError:
            raise _boot_error(f"time limit of {seconds:.0f} s reached", console.text, log) from None
        return console.text

    def _options(self, disks: Sequence[Path], hardware: Hardware) -> list[str]:
        data, system = self.emulator.tree / EMULATOR / "usr/share/qemu", self.kernel.tree
        options = ["-L", str(data), "-machine", "virt", "-cpu", hardware.cpu, "-accel", hardware.accelerator]
        options += ["-smp", str(hardware.processors), "-m", f"{hardware.memory >> 20}M"]
        options += ["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]
        options += ["-kernel", str(system / "vmlinux"), "-initrd", str(system / "initrd")]
        options += ["-append", "console=ttyS0 loglevel=4 panic=-1"]
        for number, disk in enumerate((self.disk.tree / "root.ext4", *disks)):
            file = str(disk).replace(",", ",,")
            options += ["-drive", f"file={file},format=raw,if=none,id=disk{number},readonly=on"]
            options += ["-device", f"virtio-blk-pci,drive=disk{number}"]
        return options


def virtual_machine(store: LayerStore, distribution: Distribution) -> VirtualMachine:
    """Return a virtual machine; making its layers downloads about 100 MB."""
    base, suite = DebianLayers(store, distribution).base(), distribution.suite
    emulator = {"steps": EMULATOR_STEPS, "suite": suite, "packages": EMULATOR_PACKAGES}
    kernel = {"steps": KERNEL_STEPS, "suite": suite, "packages": KERNEL_PACKAGES, "init": INIT, "modules": MODULES}

    def make_emulator(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        packages = extract(tree / EMULATOR, "amd64", EMULATOR_PACKAGES, distribution, log)
        trim(tree / EMULATOR, EMULATOR_UNUSED, (PROGRAM,))
        return packages

    def make_kernel(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        return _make_kernel(tree, distribution, log)

    def make_disk(tree: Path, log: LogSink) -> tuple[PackagePin, ...]:
        make_image(base.tree, tree / "root.ext4", log)
        return ()

    return VirtualMachine(
        emulator=store.ensure("qemu-system", emulator, make_emulator),
        kernel=store.ensure("kernel", kernel, make_kernel),
        disk=store.ensure("disk", {"steps": DISK_STEPS, "of": base.digest}, make_disk),
    )


def make_image(folder: Path, image: Path, log: LogSink) -> None:
    """Make an ext4 disk image with a copy of `folder`, without mounting it."""
    used = sum(path.lstat().st_size + 4096 for path in folder.rglob("*"))
    size = (used * 5 // 4 + SPARE_BYTES) >> 20
    image.unlink(missing_ok=True)
    run(["mke2fs", "-q", "-t", "ext4", "-d", str(folder), str(image), f"{size}M"], log=log, env=SYSTEM_PATH)


def _make_kernel(tree: Path, distribution: Distribution, log: LogSink) -> tuple[PackagePin, ...]:
    """Make the kernel, and an initial root with the modules for its disks."""
    unpacked, initial = tree / "opt/unpacked", tree / "opt/initial"
    packages = extract(unpacked, "riscv64", KERNEL_PACKAGES, distribution, log)
    (kernel,) = unpacked.glob("boot/vmlinux-*")
    kernel.rename(tree / "vmlinux")
    (modules,) = unpacked.glob("usr/lib/modules/*/kernel")
    _fill_initial_root(initial, unpacked / "usr/bin/busybox", modules)
    pack = f'find . | ./bin/busybox cpio -o -H newc > "{tree}/initrd"'
    run(["sh", "-c", pack], log=log, cwd=initial, what="packing the initial root")
    discard(tree / "opt")
    return packages


def _fill_initial_root(folder: Path, busybox: Path, modules: Path) -> None:
    for name in ("bin", "dev", "modules", "root"):
        (folder / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "bin/busybox")
    (folder / "bin/sh").symlink_to("busybox")
    for number, name in enumerate(MODULES):
        content = lzma.decompress((modules / f"{name}.ko.xz").read_bytes())
        (folder / f"modules/{number}-{Path(name).name}.ko").write_bytes(content)
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)


def _boot_error(cause: str, console: str, log: LogSink) -> EnvironmentSetupError:
    shown = _tail(console) or "nothing"
    return EnvironmentSetupError(
        f"virtual machine: {cause}; last lines of the console:\n{shown}", hint=f"read the whole console: {log.path}"
    )


def _tail(console: str) -> str:
    return "\n".join(console.splitlines()[-TAIL_LINES:])
