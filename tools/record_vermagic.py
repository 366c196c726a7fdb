"""Record what vermagic Debian's kernels really have, beside the part of their `.config` that it follows from.

    python3 tools/record_vermagic.py CACHE          (downloads several GB, 1 GB stays in CACHE; 20 minutes on two cores)

Of the newest kernel of each suite's series, on each architecture and in each flavour, the headers package gives
`.config`, `include/generated/utsrelease.h` and `include/config/kernel.release`, and one module of the same kernel gives
`vermagic=` of `.modinfo` and the size of `.gnu.linkonce.this_module`. All of it goes to `tests/data/vermagic/`; nothing
there is typed by hand. What the archive cannot give today is named on a line that begins with `skipped` or `without`.
"""

from __future__ import annotations

import functools
import json
import lzma
import re
import struct
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from debian import Archive, open_archive

OUTPUT = Path(__file__).resolve().parent.parent / "tests/data/vermagic"

#: suite -> its kernel's series, which keeps out the backports that live beside it; "" takes the newest of all
SUITES = {"bullseye": "5.10.", "bookworm": "6.1.", "trixie": "6.12.", "sid": "", "experimental": ""}
#: Debian's names; mips64el stands before mipsel, which has the same 64-bit kernels and the only 32-bit ones
ARCHITECTURES = (
    "amd64", "arm64", "armhf", "armel", "i386", "ppc64el", "s390x", "riscv64", "mips64el", "mipsel", "loong64",
)  # fmt: skip

#: (e_machine, bits) -> modcheck's name
ARCH_NAMES = {
    (62, 64): "x86_64", (3, 32): "i386", (40, 32): "arm", (183, 64): "arm64", (243, 64): "riscv64", (21, 64): "ppc64",
    (22, 64): "s390x", (8, 64): "mips64", (8, 32): "mips", (258, 64): "loongarch64",
}  # fmt: skip

#: the options that vermagic and the module loader's other decisions follow from, without `CONFIG_`
OPTIONS = r"""
    SMP | PREEMPT\w* | MODULE\w* | \w*MODVERSIONS | RANDSTRUCT\w* | GCC_PLUGIN_RANDSTRUCT\w* | LOCALVERSION\w*
  | BUILD_SALT | 64BIT | 32BIT | CC_VERSION_TEXT
  | \w*RETPOLINE | \w*UNUSED_KSYMS | STRICT_MODULE_RWX | LIVEPATCH | DEBUG_INFO_BTF\w* | SECURITY_LOCKDOWN_LSM\w*
  | LOCK_DOWN\w*
  | X86 | X86_64 | X86_32 | X86_ELAN | REGPARM | 4KSTACKS
  | M[3-6]86\w* | MPENTIUM\w+ | MK[678] | MCRUSOE | MEFFICEON | MWINCHIP\w+ | MELAN | MGEODE\w+ | MCYRIXIII | MVIAC\w+
  | MCORE2 | MATOM | MPSC
  | ARM | ARM64 | ARM_PATCH_PHYS_VIRT\w* | THUMB2_KERNEL | CPU_32v\w+ | CPU_V[67]\w* | CPU_(BIG|LITTLE)_ENDIAN
  | PPC | PPC64 | PPC32 | MPROFILE_KERNEL | RELOCATABLE | ARCH_USING_PATCHABLE_FUNCTION_ENTRY | PPC64_ELF_ABI_V\d
  | S390 | RISCV | LOONGARCH | SPARC\w*
  | MIPS | MIPS_MT_SMTC | CPU_MIPS\w* | CPU_BMIPS\w* | CPU_LOONGSON\w* | CPU_CAVIUM_OCTEON | CPU_RM?\d\w+ | CPU_TX\w+
  | CPU_VR\w+ | CPU_NEVADA | CPU_SB1 | CPU_P5600 | CPU_XL[RP]
"""
_OPTION_LINE = re.compile(rf"(?:\#\ )?CONFIG_(?:{OPTIONS})(?:=.*|\ is\ not\ set)", re.VERBOSE)
_HEADER = re.compile(r"#\n# .+\n# Linux/\S+ \S+ Kernel Configuration\n#\n")

_COMMON = re.compile(r"linux-headers-(.+)-common(-rt)?")
_MODULE = re.compile(r"/lib/modules/.+\.ko(\.\w+)?$")


class Kernel(NamedTuple):
    """One row of `kernels.json`."""

    config: str
    """name of the file with its options"""
    release: str
    """UTS_RELEASE of include/generated/utsrelease.h"""
    arch: str
    """modcheck's name, as e_machine and the class of its modules say"""
    vermagic: str
    """of a module, to the byte"""
    this_module_size: int
    """of a module's .gnu.linkonce.this_module, in bytes"""
    package: str
    """the headers package"""
    package_version: str
    kernel_release_file: str
    """include/config/kernel.release, without its newline"""


def kernels_of(archive: Archive, series: str) -> dict[str, list[str]]:
    """Flavour -> the releases of its kernels whose version begins with `series`, newest first.

    A headers package is told by its role: it needs the `-common` headers of its ABI, which no meta package does.
    """
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in archive.names(rf"linux-headers-{re.escape(series)}\d.*(?<!-common)(?<!-common-rt)"):
        common = next(filter(None, map(_COMMON.fullmatch, archive.depends(name))), None)
        version = archive.version(name)
        if common and version.startswith(series):
            release = name.removeprefix("linux-headers-")
            found[release.removeprefix(f"{common[1]}-")].append((version, release))
    # one version may have been built under two ABI names, so the release decides after it
    return {
        flavour: [release for _, release in sorted(pairs, key=lambda pair: tuple(map(_AS_VERSION, pair)), reverse=True)]
        for flavour, pairs in sorted(found.items())
    }


def _compare(one: str, other: str) -> int:
    """Negative, 0 or positive, as Debian orders two versions."""
    if one == other:
        return 0
    return -1 if subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0 else 1


_AS_VERSION = functools.cmp_to_key(_compare)


@contextmanager
def fetched(archive: Archive, package: str) -> Iterator[Path]:
    """The `.deb` of `package`, there while the block runs."""
    deb = archive.download(package)
    try:
        yield deb
    finally:
        deb.unlink()


def files(deb: Path, pattern: str | re.Pattern[str]) -> Generator[tuple[str, bytes], None, None]:
    """The regular files of a package whose path contains `pattern`, in its order. Closing early stops the unpacking."""
    command: list[str | Path] = ["dpkg", "--fsys-tarfile", deb]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dpkg,
        tarfile.open(fileobj=dpkg.stdout, mode="r|") as tar,
    ):
        for member in tar:
            if member.isreg() and re.search(pattern, member.name):
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                yield member.name, content.read()


def headers_of(archive: Archive, package: str, release: str) -> dict[str, str]:
    """The three files that tell of a kernel, by their paths in the headers tree."""
    wanted = (".config", "include/generated/utsrelease.h", "include/config/kernel.release")
    top = f"/usr/src/linux-headers-{release}/"
    with fetched(archive, package) as deb:
        pattern = re.escape(top) + f"({'|'.join(map(re.escape, wanted))})$"
        found = {path.partition(top)[2]: data.decode() for path, data in files(deb, pattern)}
    missing = [path for path in wanted if path not in found]
    if missing:
        raise SystemExit(f"{package} has no {', '.join(missing)}")
    return found


def module_of(archive: Archive, release: str) -> bytes:
    """The first module of a kernel's package: `linux-modules-REL` in 7.x, before that `linux-image-REL[-unsigned]`."""
    packages = archive.names(rf"linux-(modules|image)-{re.escape(release)}(-unsigned)?")
    failed = [f"no package of modules for {release}"]
    for package in sorted(packages, key=lambda name: ("-modules-" not in name, name)):
        try:
            with fetched(archive, package) as deb, closing(files(deb, _MODULE)) as modules:
                for path, data in modules:
                    return _decompressed(path, data)
        except SystemExit as error:
            failed.append(_one_line(error))
    raise SystemExit("; ".join(failed))


def _decompressed(path: str, data: bytes) -> bytes:
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".ko"):
        return data
    raise SystemExit(f"{path}: compressed in a way that no Debian kernel has used so far")


def read_elf(elf: bytes) -> tuple[int, int, dict[str, bytes]]:
    """e_machine, bits, and the sections by name, of an ELF file of either class and byte order."""
    if elf[:4] != b"\x7fELF":
        raise SystemExit("a module that is not ELF")
    wide, order = elf[4] == 2, "<" if elf[5] == 1 else ">"
    (machine,) = struct.unpack_from(order + "H", elf, 0x12)
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), elf, 0x28 if wide else 0x20)
    entry_size, count, names_at = struct.unpack_from(order + "3H", elf, 0x3A if wide else 0x2E)
    entry = order + ("IIQQQQ" if wide else "6I")  # name, type, flags, address, offset, size
    entries = [struct.unpack_from(entry, elf, table + index * entry_size) for index in range(count)]
    names = elf[entries[names_at][4] :]
    return machine, 64 if wide else 32, {
        names[name : names.index(b"\0", name)].decode(): elf[offset : offset + size]
        for name, _, _, _, offset, size in entries
    }  # fmt: skip


def small_config(text: str) -> str:
    """A `.config` cut down to its header and the lines of `OPTIONS`, unchanged and in their order."""
    header = _HEADER.match(text)
    if not header:
        raise SystemExit("a .config without the usual header")
    return header[0] + "".join(f"{line}\n" for line in text.splitlines() if _OPTION_LINE.fullmatch(line))


def record(archive: Archive, release: str) -> tuple[Kernel, str]:
    """The row of one kernel, and its small `.config`."""
    package = f"linux-headers-{release}"
    headers = headers_of(archive, package, release)
    uts = re.search(r'^#define UTS_RELEASE "(.*)"$', headers["include/generated/utsrelease.h"], re.MULTILINE)
    machine, bits, sections = read_elf(module_of(archive, release))
    vermagic = next((word[9:] for word in sections[".modinfo"].split(b"\0") if word.startswith(b"vermagic=")), None)
    if not uts or vermagic is None:
        raise SystemExit(f"{release}: no UTS_RELEASE, or a module without vermagic")
    if vermagic.split(b" ")[0] != uts[1].encode():
        raise SystemExit(f"{release}: headers of {uts[1]!r}, but a module of {vermagic!r}")
    kernel = Kernel(
        config=f"{release}.config",
        release=uts[1],
        arch=ARCH_NAMES[machine, bits],
        vermagic=vermagic.decode("ascii"),
        this_module_size=len(sections[".gnu.linkonce.this_module"]),
        package=package,
        package_version=archive.version(package),
        kernel_release_file=headers["include/config/kernel.release"].rstrip("\n"),
    )
    return kernel, small_config(headers[".config"])


def newest(archive: Archive, flavour: str, releases: list[str], known: set[str]) -> tuple[Kernel, str] | None:
    """The newest kernel of a flavour that the archive can give, unless it is one of `known`.

    The archive's lists may name packages that are gone.
    """
    for release in releases:
        if release in known:
            print(f"skipped {archive.suite} {archive.arch} {release}: already recorded", flush=True)
            return None
        try:
            return record(archive, release)
        except SystemExit as error:
            print(f"skipped {archive.suite} {archive.arch} {release}: {_one_line(error)}", flush=True)
    print(f"skipped {archive.suite} {archive.arch}, flavour {flavour}: none could be had", flush=True)
    return None


def _one_line(error: SystemExit) -> str:
    return " ".join(str(error).split())


def main(cache: str) -> None:
    configs: dict[str, str] = {}
    kernels: list[Kernel] = []
    for suite, series in SUITES.items():
        for arch in ARCHITECTURES:
            archive = open_archive(Path(cache), suite, arch)
            flavours = kernels_of(archive, series)
            if not flavours:
                print(f"skipped {suite} {arch}: no kernel there", flush=True)
            for flavour, releases in flavours.items():
                if found := newest(archive, flavour, releases, {kernel.release for kernel in kernels}):
                    kernel, config = found
                    configs[kernel.config] = config
                    kernels.append(kernel)
                    print(f"{suite} {arch} {kernel.package_version}: {kernel.vermagic!r}", flush=True)

    OUTPUT.mkdir(parents=True, exist_ok=True)
    for old in OUTPUT.glob("*.config"):
        old.unlink()
    for name, text in configs.items():
        (OUTPUT / name).write_text(text)
    kernels.sort(key=lambda kernel: ([int(n) for n in re.findall(r"\d+", kernel.package_version)], kernel.config))
    rows = [kernel._asdict() for kernel in kernels]
    (OUTPUT / "kernels.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{len(kernels)} kernels recorded")


if __name__ == "__main__":
    main(*sys.argv[1:])
