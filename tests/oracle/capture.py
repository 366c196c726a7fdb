"""The capture script on a booted kernel, and what its tar is good for.

    python -m tests.oracle.capture WORK ROLE... [--no-image] [--every N]

Boots the kernel of each role (tests/oracle/kernels.py) with Debian's busybox-static as its whole userland and all of
its modules, runs the script as root and as nobody, and keeps WORK/captures/RELEASE.tar and RELEASE.nobody.tar. Then
every N-th of the kernel's modules is predicted with the tar and with Debian's packages: verdict, errno and log must be
equal; with nobody's, where the image could not be read, a verdict may be `unknown`. Exits with 1 where that is not so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modcheck import Prediction, Target, predict_all, read_module, read_target
from modcheck.files import find_modules

from .cases import target_of
from .errors import OracleError
from .initramfs import DATA, EXECUTABLE, FOLDER, write_cpio
from .kernels import ROLES, Kernel, fetch, open_archive
from .machines import MACHINES, command

SCRIPT = Path(__file__).parent.parent.parent / "modcheck/cli/capture.sh"
SECONDS = 900
#: the programs that the script may need; megabytes of memory, and of each disk that a tar is written to
PROGRAMS, MEMORY, DISK = "cat tar dd od sed grep wc head ls uname sh", 3500, 1024
_DISKS = {"s390x": "virtio-blk-ccw", "armhf": "virtio-blk-device"}

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /all /proc /sys /dev /tmp
/bin/busybox --install -s /all
export PATH=/all
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t securityfs sec /sys/kernel/security
for module in MODULES; do insmod $module; done
sleep 1
find / -xdev | sort > /dev/shm.before
env -i PATH=/few sh < /capture.sh > /dev/vda; echo "root: status $?"
printf '#!/bin/busybox sh\\nexec env -i PATH=/few sh < /capture.sh > /dev/vdb' > /all/nobody
chmod 755 /all/nobody; chmod 666 /dev/vdb
start-stop-daemon -S -c nobody -x /all/nobody; echo "nobody: status $?"
find / -xdev | grep -v /all/nobody | sort | cmp - /dev/shm.before && echo "nothing written"
sync; poweroff -f
"""


def capture(work: Path, role: str, *, image: bool) -> tuple[Kernel, Path, Path]:
    """Boot the kernel of `role`, and capture; `image`: whether root can read one.

    :returns: the kernel, the tars made by root and by nobody
    :raises OracleError: the machine did not do it
    """
    kernel = fetch(work, role)
    machine = MACHINES[kernel.arch]
    folder = work / "captures"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oracle-", dir=folder) as temporary:
        initramfs = Path(temporary, "initramfs.cpio")
        with initramfs.open("wb") as out:
            write_cpio(out, _entries(work, role, kernel, Path(temporary, "root"), image))
        words = command(machine, kernel.image, initramfs, "quiet")
        words[words.index("-m") + 1] = str(MEMORY)
        disks = [Path(temporary, name) for name in ("root.img", "nobody.img")]
        for disk in disks:
            disk.touch()
            os.truncate(disk, DISK << 20)
            words += ["-drive", f"if=none,id={disk.stem},file={disk},format=raw,cache=unsafe"]
            words += ["-device", f"{_DISKS.get(kernel.arch, 'virtio-blk-pci')},drive={disk.stem}"]
        done = subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
        console = done.stdout.decode("utf-8", "replace").replace("\r", "")
        for line in ("root: status 0", "nobody: status 0", "nothing written"):
            if line not in console:
                raise OracleError(f"{role}: no '{line}' on the console:\n{console[-3000:]}")
        tars = [folder / f"{kernel.release}{part}.tar" for part in ("", ".nobody")]
        for disk, tar in zip(disks, tars):
            tar.write_bytes(_tar_on(disk))
    return kernel, tars[0], tars[1]


def _entries(work: Path, role: str, kernel: Kernel, root: Path, image: bool) -> Iterator[tuple[str, int, bytes]]:
    """The files of the machine: busybox, the script, the kernel's modules as depmod leaves them, image and config."""
    modules = root / "lib/modules" / kernel.release
    shutil.copytree(kernel.modules, modules, ignore=shutil.ignore_patterns("build", "source", "vmlinu*"))
    subprocess.run(["depmod", "-b", root, kernel.release], check=True)
    suite = ROLES[role].suite
    archive = open_archive(work / "packages", "trixie" if suite == "experimental" else suite, kernel.arch)
    archive.unpack(root / "busybox", "busybox-static")
    busybox = next((root / "busybox").glob("**/bin/busybox"))
    order = " ".join(f"/lib/modules/{kernel.release}/{path}" for path in _drivers(modules))
    yield "init", EXECUTABLE, INIT.replace("MODULES", order).encode()
    for name in ("bin", "few", "etc", "boot", "lib", "lib/modules"):
        yield name, FOLDER, b""
    yield "bin/busybox", EXECUTABLE, busybox.read_bytes()
    for name in PROGRAMS.split():
        yield f"few/{name}", stat.S_IFLNK | 0o777, b"/bin/busybox"
    yield "etc/passwd", DATA, b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    yield "etc/group", DATA, b"root:x:0:\nnogroup:x:65534:\n"
    yield "capture.sh", DATA, SCRIPT.read_bytes()
    yield f"boot/config-{kernel.release}", DATA, (kernel.headers / ".config").read_bytes()
    if image:
        yield f"boot/vmlinuz-{kernel.release}", stat.S_IFREG | 0o600, kernel.image.read_bytes()
    for path in sorted((root / "lib/modules").rglob("*")):
        yield (
            str(path.relative_to(root)),
            FOLDER if path.is_dir() else DATA,
            b"" if path.is_dir() else path.read_bytes(),
        )


def _drivers(modules: Path) -> list[str]:
    """The modules for the disks, those that others need first."""
    lines = (line.partition(":") for line in (modules / "modules.dep").read_text().splitlines())
    needs = {path: others.split() for path, _, others in lines}
    wanted = [path for path in needs if re.search(r"/virtio_(pci|mmio|blk)\.ko", path)]
    return list(dict.fromkeys(one for path in wanted for one in (*reversed(needs[path]), path)))


def _tar_on(disk: Path) -> bytes:
    """The tars at the beginning of a disk of zeros: up to the member that ends a capture."""
    with disk.open("rb") as file, tarfile.open(fileobj=file, mode="r:", ignore_zeros=True) as tar:
        while (info := tar.next()) is not None and info.name != "modcheck/missing":
            pass
        if info is None:
            raise OracleError(f"{disk}: no whole capture on it")
        file.seek(0)
        return file.read((info.offset_data + info.size + 511 & -512) + 1024)


def _predictions(kernel: Kernel, target: Target, every: int) -> list[Prediction]:
    modules = [read_module(path) for path in find_modules(kernel.modules)[::every]]
    return [one for loader in ("insmod", "modprobe") for one in predict_all(modules, target, loader=loader)]


def main() -> int:
    """Capture, compare, and say so."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("roles", nargs="+", metavar="ROLE")
    parser.add_argument("--no-image", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    failed = False
    for role in options.roles:
        kernel, *tars = capture(options.work, role, image=not options.no_image)
        truth = _predictions(kernel, target_of(kernel), options.every)
        for tar in tars:
            found = _predictions(kernel, read_target(tar), options.every)
            pairs = list(zip(truth, found))
            unknown = sum(one.verdict != other.verdict == "unknown" for one, other in pairs)
            same = sum((one.verdict, one.errno, one.log) == (two.verdict, two.errno, two.log) for one, two in pairs)
            size = tar.stat().st_size >> 20
            print(
                f"{role}: {tar.name}, {size} MiB: {same} of {len(pairs)} predictions equal, {unknown} unknown",
                flush=True,
            )
            failed |= same + unknown < len(pairs) or (unknown > 0 and "nobody" not in tar.name)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
