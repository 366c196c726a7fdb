"""Kernels that are nearly the same, each booted with modules that were built against the others: tests/data/builds/.

    python -m tests.oracle.builds WORK_DIR [BUILD...] [--boots-only]

Makes the trees and modules (builds.sh) of the builds named, or of all, boots each kernel with every module of its
group, captures it, and writes what it did to truth.json; rows of boards that are not named stay. Images, packages,
build trees and the captures with the image stay in WORK_DIR.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import io
import json
import lzma
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .boot import boot, modules_below
from .errors import OracleError
from .initramfs import DATA, EXECUTABLE, FOLDER, uncompressed, write_cpio
from .kernels import ROLES, Kernel, fetch, open_archive
from .loads import Load, Result
from .machines import MACHINES, command

ROOT = Path(__file__).parent.parent.parent
DATA_DIR = ROOT / "tests" / "data" / "builds"
SCRIPT = Path(__file__).with_name("builds.sh")
CAPTURE = ROOT / "modcheck" / "cli" / "capture.sh"
SMALL_RELEASE = "6.1.176-rockchip-rk3588"

#: what is booted with what: the builds of a group, and where more modules lie that were built for nearly the same
GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        (
            "rk3588", "rk3588-source", "rk3588-kcov", "rk3588-modversions", "rk3588-modversions-source",
            "rk3588-modversions-kcov", "rk3588-modversions-option", "rk3588-modversions-struct",
        ),
        ("sample_modules/rk3588*/**/chrdevbase.ko",),
    ),
    (("debian-6.1", "debian-6.1~1", "debian-6.1~3"), ("sample_modules/debian-6.1-amd64/**/chrdevbase.ko",)),
    (("debian-6.12", "debian-6.12~1"), ()),
)  # fmt: skip

#: how many of Debian's own modules are kept of those that agree with the neighbour, and of those that do not
OWN = 5
#: the programs that a capture needs; seconds that it may take
PROGRAMS, SECONDS = "cat tar dd od sed grep wc head ls uname sh", 900

RUN = """/bin/busybox mkdir -p /all /proc /sys /dev
/bin/busybox --install -s /all
export PATH=/all
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t securityfs sec /sys/kernel/security
mknod /dev/zero c 1 5; mknod /dev/null c 1 3; chmod 666 /dev/*
echo 'exec /bin/busybox env -i PATH=/few /bin/busybox sh < /capture.sh' > /all/take
told() { echo "begin $1"; gzip | base64; echo "end $1"; }
TAKE
poweroff -f
"""
#: as root with the image, and then as on a board that has none in /boot; as nobody, who cannot read /proc/kcore
TAKE = {
    "arm64": "sh /all/take | told full; rm /boot/*; sh /all/take | told bare",
    # busybox itself is running already, as process 1
    "amd64": """printf '#!/bin/busybox sh\\n. /all/take\\n' > /all/nobody; chmod 755 /all/nobody
start-stop-daemon -S -c nobody -x /all/nobody | told bare""",
}


@dataclass(frozen=True, slots=True)
class Build:
    """One kernel, on disk: and where it boots from."""

    name: str
    release: str
    arch: str
    image: Path
    #: folder of what `make modules_install` or the package puts into /lib/modules/RELEASE beside the modules
    lists: Path

    @property
    def folder(self) -> Path:
        """What is kept of it."""
        return DATA_DIR / self.name

    @property
    def installed(self) -> list[Path]:
        """The modules in the board's /lib/modules: two of our own and a few of the kernel's."""
        own = sorted((self.folder / "modules" / "own").glob("*.ko.xz"))
        return [self.folder / "modules" / "heartbeat.ko", self.folder / "modules" / "plain.ko", *own[:4]]


def make(work: Path, names: Sequence[str]) -> None:
    """Build trees and modules of the builds of those names, which are of one group."""
    if names[0].startswith("rk3588"):
        subprocess.run([SCRIPT, work, *names], check=True)
        return
    kernels = {name: _debian(work, name) for name in names}
    role = _role(names[0])[0]
    subprocess.run(
        [SCRIPT, work, "--debian", ROLES[role].suite, *(one.release for one in kernels.values())], check=True
    )
    newest, before = fetch(work, role), fetch(work, role, 1)
    picked = list(_pick(newest.modules, _table(newest.headers), _table(before.headers)))
    for kernel in kernels.values():
        own = DATA_DIR / f"debian-{kernel.release}" / "modules" / "own"
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        for path in picked:
            content = uncompressed(kernel.modules / path)
            (own / f"{path.name.removesuffix('.xz')}.xz").write_bytes(lzma.compress(content, preset=9))


def find(work: Path, name: str) -> Build | None:
    """The build of that name as it was left in `work` and DATA_DIR; None where it was not made."""
    if name.startswith("rk3588"):
        tree = work / name
        build = Build(name, SMALL_RELEASE, "arm64", tree / "arch/arm64/boot/Image", tree)
    else:
        kernel = _debian(work, name)
        build = Build(f"debian-{kernel.release}", kernel.release, kernel.arch, kernel.image, kernel.modules)
    return build if (build.folder / "modules" / "heartbeat.ko").exists() and build.image.exists() else None


def _role(name: str) -> tuple[str, int]:
    role, _, skip = name.removeprefix("debian-").partition("~")
    return role, int(skip or 0)


def _debian(work: Path, name: str) -> Kernel:
    return fetch(work, *_role(name))


def _table(headers: Path) -> dict[str, str]:
    """Module.symvers: of each symbol of the kernel itself its CRC."""
    rows = (line.split("\t") for line in (headers / "Module.symvers").read_text().splitlines())
    return {row[1]: row[0] for row in rows if row[2] == "vmlinux"}


def _pick(modules: Path, one: dict[str, str], other: dict[str, str]) -> Iterator[Path]:
    """Paths of small modules that import from the kernel alone: first those that both tables agree about."""
    agree: list[Path] = []
    differ: list[Path] = []
    for path in sorted(modules_below(modules), key=lambda path: (path.stat().st_size, path.name)):
        if len(agree) == OWN and (len(differ) == OWN or one == other):
            break
        shown = subprocess.run(["modprobe", "--show-modversions", path], check=True, capture_output=True, text=True)
        names = [line.split()[1] for line in shown.stdout.splitlines()]
        if len(names) < 3 or not all(name in one and name in other for name in names):
            continue
        into = agree if all(one[name] == other[name] for name in names) else differ
        if len(into) < OWN:
            into.append(path.relative_to(modules))
    yield from (*agree, *differ)


def capture(work: Path, build: Build) -> dict[str, bytes]:
    """Boot `build` with busybox as its whole userland; the tars that the script wrote, by their names in TAKE.

    :raises OracleError: the machine did not do it
    """
    machine = MACHINES[build.arch]
    with tempfile.TemporaryDirectory(prefix="oracle-", dir=work) as temporary:
        initramfs = Path(temporary, "initramfs.cpio")
        with initramfs.open("wb") as out:
            write_cpio(out, _entries(work, build, Path(temporary, "root")))
        words = command(machine, build.image, initramfs, "quiet loglevel=1 rdinit=/bin/busybox -- sh /run.sh")
        done = subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
    console = done.stdout.replace(b"\r", b"")
    tars = {}
    for name in re.findall(r"\| told (\w+)", TAKE[build.arch]):
        found = re.search(rf"^begin {name}\n(.*)^end {name}$".encode(), console, re.DOTALL | re.MULTILINE)
        if not found:
            raise OracleError(f"{build.name}: no capture on the console:\n{console[-2000:].decode(errors='replace')}")
        # what the script says on standard error comes between the lines
        told = b"".join(line for line in found[1].split(b"\n") if re.fullmatch(rb"[A-Za-z0-9+/=]+", line))
        tars[name] = gzip.decompress(base64.b64decode(told))
        if b"modcheck/missing" not in tars[name]:
            raise OracleError(f"{build.name}: the capture is cut off")
    return tars


def _entries(work: Path, build: Build, root: Path) -> Iterator[tuple[str, int, bytes]]:
    """The files of the machine that is captured."""
    modules = root / "lib/modules" / build.release
    (modules / "extra").mkdir(parents=True)
    for path in build.installed:
        (modules / "extra" / path.name.removesuffix(".xz")).write_bytes(uncompressed(path))
    for path in (*build.lists.glob("modules.builtin*"), build.lists / "modules.order"):
        if path.exists() and not path.name.endswith(".bin"):
            shutil.copy(path, modules)
    subprocess.run(["depmod", "-b", root, build.release], check=True)
    busybox = work / f"busybox-{build.arch}"
    if not busybox.exists():
        open_archive(work / "packages", "bookworm", build.arch).unpack(busybox, "busybox-static")
    for name in ("bin", "few", "etc", "boot", "lib", "lib/modules"):
        yield name, FOLDER, b""
    yield "bin/busybox", EXECUTABLE, next(busybox.glob("**/bin/busybox")).read_bytes()
    for name in PROGRAMS.split():
        yield f"few/{name}", stat.S_IFLNK | 0o777, b"/bin/busybox"
    yield "run.sh", DATA, RUN.replace("TAKE", TAKE[build.arch]).encode()
    yield "etc/passwd", DATA, b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    yield "etc/group", DATA, b"root:x:0:\nnogroup:x:65534:\n"
    yield "capture.sh", DATA, CAPTURE.read_bytes()
    if build.arch == "arm64":
        yield f"boot/Image-{build.release}", DATA, build.image.read_bytes()
    else:
        yield f"boot/config-{build.release}", DATA, (build.image.parent / f"config-{build.release}").read_bytes()
    for path in sorted((root / "lib/modules").rglob("*")):
        yield (
            str(path.relative_to(root)),
            FOLDER if path.is_dir() else DATA,
            b"" if path.is_dir() else path.read_bytes(),
        )


def keep_board(work: Path, build: Build) -> None:
    """Write what the board tells of itself to board/, and the capture with the image to WORK/captures."""
    tars = capture(work, build)
    board = build.folder / "board"
    shutil.rmtree(board, ignore_errors=True)
    board.mkdir()
    folder = work / "captures" / build.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tars.items():
        (folder / ("board.tar" if name == "full" else "bare.tar")).write_bytes(content)
    if build.name in PROFILES:
        words = [sys.executable, "-m", "modcheck", "target", "board.tar", "-o", str(board / "board.json")]
        subprocess.run(
            words, check=True, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    bare = without(tars["bare"], "sys/kernel/btf/vmlinux")
    (board / "capture.tar.xz").write_bytes(lzma.compress(bare, preset=9))
    with tarfile.open(fileobj=io.BytesIO(bare), mode="r:", ignore_zeros=True) as tar:
        for member in tar:
            if member.name in KEPT:
                file = tar.extractfile(member)
                assert file
                (board / KEPT[member.name]).write_bytes(file.read())


#: boards whose capture is kept as modcheck's profile of it too
PROFILES = ("rk3588-modversions", "rk3588-modversions-source")
#: members of a capture that are kept as files of their own
KEPT = {
    "proc/sys/kernel/osrelease": "osrelease",
    "proc/version": "version",
    "proc/config.gz": "config.gz",
    "sys/kernel/notes": "notes",
}


def without(data: bytes, name: str) -> bytes:
    """The tars `data` without the member of that name."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", ignore_zeros=True) as tar:
        for info in tar:
            if info.name == name:
                end = info.offset_data + (info.size + 511 & -512)
                return data[: info.offset] + data[end:]
    return data


def row(build: Build, result: Result) -> dict[str, object]:
    """What the kernel did with one module. A kernel without tracing has the lines of init among its own."""
    if result.crashed:
        raise OracleError(f"{build.name}: {result.load.path} crashed it")
    # no init function of ours fails, and Debian's kernels tell where init begins
    accepted = bool(result.accepted)
    return {
        "board": build.name,
        "module": os.path.relpath(result.load.path, ROOT),
        "tainted": result.tainted_before,
        "accepted": accepted,
        "errno": None if accepted else result.errno,
        "log": [line.text for line in result.log],
        **({"init_errno": result.errno} if accepted and result.errno else {}),
    }


def write(rows: Sequence[dict[str, object]]) -> None:
    """Put `rows` into truth.json, in place of the other rows of their boards."""
    path = DATA_DIR / "truth.json"
    kept = json.loads(path.read_text()) if path.exists() else []
    boards = {one["board"] for one in rows}
    everything = sorted(
        [*(one for one in kept if one["board"] not in boards), *rows], key=lambda one: str(one["board"])
    )
    path.write_text("[\n" + ",\n".join(map(json.dumps, everything)) + "\n]\n")


def _is_debians(folder: Path, names: Sequence[str]) -> bool:
    """Whether a folder is of one of the builds `debian-SERIES`."""
    return any(folder.name.startswith(f"{name}.") for name in names if name.startswith("debian-"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.builds", description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, help="folder for packages, sources and kernels (12 GB)")
    parser.add_argument("builds", nargs="*", metavar="BUILD")
    parser.add_argument("--boots-only", action="store_true", help="take trees and modules as they are")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for names, patterns in GROUPS:
        wanted = [name for name in names if not options.builds or name in options.builds]
        if not wanted:
            continue
        if not options.boots_only:
            make(work, wanted)
        # those that were made at another time are tried too: their modules are kept
        around = [folder for folder in sorted(DATA_DIR.iterdir()) if folder.name in names or _is_debians(folder, names)]
        for build in [build for name in wanted if (build := find(work, name))]:
            paths = [path for one in around for path in modules_below(one / "modules")]
            paths += [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
            keep_board(work, build)
            rows = [row(build, result) for result in boot(build.image, build.arch, [Load(path) for path in paths])]
            write(rows)
            accepted = sum(bool(one["accepted"]) for one in rows)
            print(f"{build.name}: {accepted} of {len(rows)} modules accepted", flush=True)


if __name__ == "__main__":
    main()
