"""Kernels of Debian in whatever real tools pack them in, each read and held against the image as Debian has it.

    python -m tests.oracle.containers WORK [ARCHITECTURE...]

WORK is where the oracle keeps packages and kernels. Needs, installed: u-boot-tools device-tree-compiler mkbootimg
abootimg vboot-kernel-utils android-sdk-libsparse-utils lz4 zstd lzop xz-utils bzip2 squashfs-tools e2fsprogs mtools
dosfstools erofs-utils; what Debian 12 does not have, or not in the newer version, is unpacked from trixie. Writes
tests/data/containers.json: container, tool, codec, architecture, and `same` or the error's line. Same is: the release,
line of /proc/version, vermagic, architecture, byte order, table, type information, build id.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from modcheck.errors import ModcheckError
from modcheck.target.image import Image

from .kernels import fetch, open_archive

INDEX = Path(__file__).parent.parent / "data/containers.json"
#: roles of tests/oracle/kernels.py; the first three are packed in everything
KERNELS = {
    "amd64": "6.1", "arm64": "arm64-6.1", "armhf": "armhf-6.1", "s390x": "s390x-6.1", "riscv64": "riscv64-6.12",
    "ppc64el": "ppc64el-6.1", "mips64el": "mips64el-6.1", "loong64": "loong64-newest",
}  # fmt: skip
#: mkimage's name of the architecture, and in a FIT
UBOOT = {
    "amd64": "x86_64", "arm64": "arm64", "armhf": "arm", "s390x": "s390", "riscv64": "riscv", "ppc64el": "powerpc",
    "mips64el": "mips64", "loong64": "invalid",
}  # fmt: skip
CODECS = {
    "none": "cat", "gzip": "gzip -9nc", "bzip2": "bzip2 -c", "xz": "xz --check=crc32 -1c", "lzop": "lzop -c",
    "lzma": "xz --format=lzma -1c", "lzma 0x6d": "xz --format=lzma --lzma1=preset=1,lc=1,lp=2,pb=2 -c",
    "lz4": "lz4 -9 -c", "lz4 -l": "lz4 -l -9 -c", "zstd": "zstd -q -c",
}  # fmt: skip
JUNK = bytes(range(1, 256)) * 275
DTS = '/dts-v1/; / { model = "board"; };\n'
ITS = """/dts-v1/;
/ {{ description = "made"; images {{
  first {{ data = /incbin/("junk"); type = "{boot}"; os = "u-boot"; arch = "{arch}"; compression = "none"; load = <0>;
    entry = <0>; }};
  other {{ data = /incbin/("other"); type = "kernel"; os = "linux"; arch = "{arch}"; compression = "none"; load = <0>;
    entry = <0>; }};
  kernel-1 {{ data = /incbin/("packed"); type = "{type}"; os = "linux"; arch = "{arch}"; compression = "{codec}";
    load = <0>; entry = <0>; hash-1 {{ algo = "crc32"; }}; }};
}}; configurations {{ default = "conf-1"; conf-0 {{ kernel = "other"; }}; conf-1 {{ kernel = "kernel-1"; }}; }}; }};
"""
BOOT_KEYS = Path("/usr/share/vboot/devkeys")

Made = tuple[str, str, str]
"""container, tool, codec; the file is `out`"""


class Maker:
    """Packs one kernel, in a folder of its own."""

    def __init__(self, folder: Path, tools: Path, arch: str, kernel: Path, other: Path) -> None:
        self.folder, self.tools, self.arch = folder, tools, arch
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in (("kernel", kernel.read_bytes()), ("other", other.read_bytes()), ("junk", JUNK)):
            (folder / name).write_bytes(data)
        (folder / "board.dts").write_text(DTS)
        (folder / "initrd").write_bytes(b"\x1f\x8b\x08 none")
        self.run("dtc -q -O dtb -o board.dtb board.dts; echo console=ttyS0 > cmdline")

    def run(self, script: str) -> None:
        """Run a shell script in the folder."""
        paths = {"PYTHONPATH": f"{self.tools}/usr/lib/python3/dist-packages", "TOOLS": str(self.tools)}
        environment = {**os.environ, **paths}
        done = subprocess.run(
            ["sh", "-ec", script], check=False, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{self.arch}: {script}: {done.stderr[-500:]}")

    def few(self) -> Iterator[Made]:
        """What any architecture's kernel is packed in."""
        yield from self.streams()
        yield from self.uimages()

    def all(self) -> Iterator[Made]:
        """Everything."""
        yield from self.few()
        yield from self.fits()
        yield from self.android()
        yield from self.firmware()
        yield from self.file_systems()
        yield from self.dumps()

    def streams(self) -> Iterator[Made]:
        for codec, command in CODECS.items():
            tool = command.split()[0]
            self.run(f"{command} < kernel > packed")
            self.run("cat packed > out")
            yield "alone", tool, codec
            self.run("cat packed board.dtb junk > out")
            yield "a device tree behind it", tool, codec
            self.run("cat junk packed junk > out")
            yield "at an odd offset", tool, codec
            if codec != "none" and not codec.startswith("lzma"):
                self.run(
                    f"size=$(stat -c %s kernel); half=$((size / 2)); (head -c $half kernel | {command}; "
                    f"tail -c +$((half + 1)) kernel | {command}) > out"
                )
                yield "in two members", tool, codec

    def uimages(self) -> Iterator[Made]:
        names = {"none": "none", "lzop": "lzo"}
        for codec in ("none", "gzip", "bzip2", "lzma", "lzop", "lz4", "zstd"):
            self.run(f"{CODECS[codec]} < kernel > packed")
            head = f"mkimage -A {UBOOT[self.arch]} -O linux -C {names.get(codec, codec)} -a 0 -e 0 -n made"
            self.run(f"{head} -T kernel -d packed out")
            yield "uImage", "mkimage", codec
            if codec in ("none", "gzip"):
                self.run(f"{head} -T multi -d packed:initrd:board.dtb out")
                yield "uImage of several", "mkimage", codec

    def fits(self) -> Iterator[Made]:
        names = {"lzop": "lzo"}
        for codec in ("none", "gzip", "bzip2", "lzma", "lzop", "lz4", "zstd"):
            self.run(f"{CODECS[codec]} < kernel > packed")
            for boot, kind in (("standalone", "kernel"), ("kernel", "kernel_noload")):
                values = {"codec": names.get(codec, codec), "arch": UBOOT[self.arch], "boot": boot, "type": kind}
                (self.folder / "made.its").write_text(ITS.format(**values))
                self.run("mkimage -f made.its out")
                yield f"FIT ({kind})", "mkimage -f", codec
                self.run("mkimage -E -f made.its out")
                yield f"FIT ({kind}), data behind it", "mkimage -E -f", codec

    def android(self) -> Iterator[Made]:
        for codec in ("none", "gzip", "lz4", "lz4 -l"):
            self.run(f"{CODECS[codec]} < kernel > packed; cat packed board.dtb > packed-dtb")
            for tool in ("mkbootimg", "python3 $TOOLS/usr/bin/mkbootimg"):
                for version in range(5 if "$" in tool else 3):
                    dtb = " --dtb board.dtb" if version == 2 else ""
                    self.run(
                        f"{tool} --header_version {version} --kernel packed-dtb --ramdisk initrd{dtb} --output out"
                    )
                    yield f"boot.img, version {version}", f"mkbootimg {34 if '$' in tool else 29}", codec
            self.run("abootimg --create out -k packed-dtb -r initrd")
            yield "boot.img", "abootimg", codec
            self.run("img2simg out sparse && mv sparse out")
            yield "boot.img, sparse", "img2simg", codec

    def firmware(self) -> Iterator[Made]:
        if self.arch in ("amd64", "arm64"):
            stub = f"$TOOLS/usr/lib/systemd/boot/efi/linux{ {'amd64': 'x64', 'arm64': 'aa64'}[self.arch] }.efi.stub"
            codecs = ("none", "gzip") if self.arch == "arm64" else ("none",)
            for codec in codecs:
                self.run(f"{CODECS[codec]} < kernel > packed")
                self.run(
                    "python3 $TOOLS/usr/bin/ukify build --linux=packed --initrd=initrd --cmdline=@cmdline --uname=made "
                    f"--stub={stub} --output=out"
                )
                yield "UKI", "ukify", codec
        keys = f"--keyblock {BOOT_KEYS}/kernel.keyblock --signprivate {BOOT_KEYS}/kernel_data_key.vbprivk"
        pack = f"futility vbutil_kernel --pack out {keys} --version 1 --config cmdline --bootloader junk"
        if self.arch == "amd64":
            self.run(f"{pack} --vmlinuz kernel --arch x86_64")
            yield "ChromeOS partition", "futility", "none"
            return
        for codec in ("none", "gzip", "lz4"):
            self.run(f"{CODECS[codec]} < kernel > packed")
            values = {"codec": codec, "arch": UBOOT[self.arch], "boot": "standalone", "type": "kernel_noload"}
            (self.folder / "made.its").write_text(ITS.format(**values))
            self.run(f"mkimage -f made.its fit; {pack} --vmlinuz fit --arch arm")
            yield "ChromeOS partition, FIT", "futility", codec

    def file_systems(self) -> Iterator[Made]:
        for codec in ("none", "lz4"):
            self.run(f"rm -rf root; mkdir -p root/boot; cp junk root/boot/config; {CODECS[codec]} < kernel > packed")
            self.run("cp packed root/boot/vmlinuz; rm -f out; mksquashfs root out -quiet -no-progress")
            yield "squashfs", "mksquashfs", codec
            self.run("rm -f out; mksquashfs root out -quiet -no-progress -noD -noI -noF")
            yield "squashfs, not packed", "mksquashfs", codec
            for kind, options in (("ext4", ""), ("ext2", " -b 1024")):
                self.run(f"rm -f out; mke2fs -q -t {kind}{options} -d root out 160M")
                yield kind, "mke2fs -d", codec
            self.run(
                "rm -f out; truncate -s 160M out; mformat -i out -F ::; mcopy -i out junk ::a; mcopy -i out packed ::b"
            )
            yield "FAT", "mcopy", codec
            # filled, every other file deleted: what is written then lies in the holes
            self.run(
                "rm -rf out fill; mkdir fill; cd fill; head -c 96M /dev/zero | split -b 1M -a 2; cd ..; "
                "truncate -s 99M out; mformat -i out ::; mcopy -i out fill/* ::; mdel -i out '::*[acegikmoqsuwy]'; "
                "mcopy -i out packed ::b"
            )
            yield "FAT, in pieces", "mcopy", codec
            self.run("rm -f out; mkfs.erofs --quiet out root")
            yield "erofs", "mkfs.erofs", codec
            self.run("rm -f out; mkfs.erofs --quiet -zlz4hc out root")
            yield "erofs, packed", "mkfs.erofs -zlz4hc", codec

    def dumps(self) -> Iterator[Made]:
        for codec in ("none", "gzip", "lz4"):
            self.run(f"{CODECS[codec]} < kernel > packed; {CODECS[codec]} < other > packed-other")
            self.run("cat junk packed junk packed > out")
            yield "one kernel in two slots", "cat", codec
            self.run("cat packed junk packed-other > out")
            yield "two kernels", "cat", codec
            yield "two kernels and --release", "cat", codec


def _facts(image: Image) -> tuple[object, ...]:
    table, btf = image.symvers(), image.btf
    return (
        image.banner, image.vermagic, image.arch(), table and tuple(table), btf and btf.struct_size("module"),
        image.build_id,
    )  # fmt: skip


def _outcome(path: Path, release: str | None, truth: tuple[object, ...]) -> str:
    try:
        facts = _facts(Image(str(path), release))
    except ModcheckError as error:
        return error.reason
    names = ("line of /proc/version", "vermagic", "architecture", "table", "type information", "build id")
    wrong = [name for name, one, other in zip(names, facts, truth) if one != other]
    return f"WRONG: {', '.join(wrong)}" if wrong else "same"


def _tools(work: Path) -> Path:
    """What is unpacked from trixie."""
    folder = work / "containers/tools"
    if not (folder / "complete").exists():
        packages = ("systemd-ukify", "python3-pefile", "mkbootimg", "systemd-boot-efi")
        open_archive(work / "packages", "trixie", "amd64").unpack(folder, *packages)
        open_archive(work / "packages", "trixie", "arm64").unpack(folder, "systemd-boot-efi")
        (folder / "complete").touch()
    return folder.resolve()


def tables(rows: list[dict[str, str]]) -> str:
    """The table of docs/targets.md: containers, codecs, architectures; then the reasons where one is not the same."""
    arches = list(dict.fromkeys(row["arch"] for row in rows))
    reasons: list[str] = []
    cells: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row["outcome"] != "same":
            reason = re.sub(r"\d+\.\d+\.\d[\w.+~-]*", "RELEASE", row["outcome"])
            reasons += [reason] if reason not in reasons else []
            mark = f" ({reasons.index(reason) + 1})"
        else:
            mark = ""
        found = cells.setdefault(re.sub(r", version \d", "", row["container"]), {})
        for key, name in (("", row["tool"]), (row["arch"], row["codec"] + mark)):
            names = found.setdefault(key, [])
            names += [name] if name not in names else []
    lines = ["| container | made by | codecs | for |", "|---|---|---|---|"]
    for container, found in cells.items():
        tools = ", ".join(found[""]) if len(found[""]) < 5 else "the codec's tool"
        alike: dict[str, list[str]] = {}
        for arch in filter(found.__contains__, arches):
            alike.setdefault(", ".join(found[arch]), []).append(arch)
        for codecs, names in alike.items():
            lines.append(f"| {container} | {tools} | {codecs} | {', '.join(names)} |")
    return "\n".join((*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))))


def main(work: Path, arches: list[str]) -> int:
    """Make them all, and write what came of each; 1 where a kernel was read wrongly."""
    known = json.loads(INDEX.read_text()) if INDEX.exists() else []
    tools = _tools(work)
    for arch in arches or KERNELS:
        kernel = fetch(work, KERNELS[arch])
        other = fetch(work, {"amd64": "6.1-cloud", "arm64": "arm64-5.10", "armhf": "armhf-5.10"}.get(arch, "6.1-cloud"))
        truth = _facts(Image(str(kernel.image)))
        maker = Maker((work / "containers" / arch).resolve(), tools, arch, kernel.image, other.image)
        rows = []
        for container, tool, codec in maker.all() if arch in ("amd64", "arm64", "armhf") else maker.few():
            release = kernel.release if "--release" in container else None
            outcome = _outcome(maker.folder / "out", release, truth)
            rows.append({"arch": arch, "container": container, "tool": tool, "codec": codec, "outcome": outcome})
            print(arch, container, tool, codec, outcome, sep=" | ", file=sys.stderr, flush=True)
        known = [row for row in known if row["arch"] != arch] + rows
        known.sort(key=lambda row: list(KERNELS).index(row["arch"]))
        INDEX.write_text("[\n" + ",\n".join(json.dumps(row) for row in known) + "\n]\n")
    return int(any(row["outcome"].startswith("WRONG") for row in known))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
