"""For each row of what users meet: the cause that is named first, what it rests on, and the command that mends it.

Rows are numbered as in docs/causes.md. Modules are real ones; where a row needs one that can no longer be built, a
field of a real one is rewritten (rewrite.py).
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import made_kernel
import pytest
from conftest import ROOT, SAMPLES, Run
from oracle.mutants import put
from oracle.signing import signed
from rewrite import header_of, version_of, with_crc, with_modinfo, with_section_name, with_symbol
from test_judge import at, with_config

from modcheck import Prediction, Target, predict, read_module, read_target
from modcheck.cli.adviser import Adviser
from modcheck.files import read_plain
from modcheck.target import read_config, read_symvers
from modcheck.target.certificates import read_certificate

DATA = Path(__file__).parent / "data"
RK3588, CRCS = SAMPLES / "rk3588", SAMPLES / "rk3588-modversions"
DEBIAN, DEBIAN_ARM64 = SAMPLES / "debian-6.1-amd64", SAMPLES / "debian-6.1-arm64"
SUFFIX = "6.1.176-rockchip-rk3588"
FLAGS = "SMP mod_unload aarch64"
Change = Callable[[bytes], bytes]


class Row(NamedTuple):
    """What a row is shown by, and what must be said."""

    prediction: Prediction
    cause: str
    fix: tuple[str, ...]
    """each is part of a step"""
    evidence: tuple[str, ...] = ()


def told(path: Path, target: Target, **options: Any) -> Prediction:
    """The prediction with its causes, as the command line has it."""
    module = read_module(path)
    return Adviser(target, ()).advised(predict(module, target, **options), module)


def made(folder: Path, module: Path, *changes: Change, name: str = "chrdevbase.ko") -> Path:
    """The module, changed, in a file of its own."""
    data = read_plain(module)
    for change in changes:
        data = change(data)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def vermagic(text: str) -> Change:
    return partial(with_modinfo, vermagic=text)


def board(release: str = SUFFIX, tree: Path = RK3588, **facts: Any) -> Target:
    """A board by release, `.config` and exports."""
    return read_target(
        release=release,
        config=tree / "tree/.config",
        symvers=[tree / "tree/Module.symvers"],
        vendor="upstream",
        **facts,
    )


def tree_at(folder: Path, source: Path, *without: str) -> Path:
    """A copy of a sample's tree, without some of its files."""
    path = folder / "linux"
    shutil.copytree(source / "tree", path, ignore=shutil.ignore_patterns(*without))
    (path / "Makefile").touch()
    return path


def git_suffix(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"{SUFFIX}+ {FLAGS}"))
    fix = ("scripts/config --file", "-d LOCALVERSION_AUTO", "LOCALVERSION= olddefconfig modules_prepare", "status")
    return Row(told(module, board()), "git-suffix", fix, ("6.1.176-rockchip-rk3588+",))


def git_suffix_dirty(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"{SUFFIX}-00012-g0123456789ab-dirty {FLAGS}"))
    return Row(told(module, board()), "git-suffix", ("LOCALVERSION= M=",))


def git_suffix_missing(folder: Path) -> Row:
    release = "6.1.176-rockchip-rk3588+g163651a"
    fix = (f'KERNELRELEASE="{release}" modules_prepare', 'echo "+g163651a" >')
    return Row(told(RK3588 / "chrdevbase.ko", board(release)), "git-suffix-missing", fix, (release,))


def localversion(folder: Path) -> Row:
    fix = (
        '--set-str LOCALVERSION "-rockchip-rk3588"',
        "olddefconfig modules_prepare",
        "ARCH=arm64 CROSS_COMPILE=aarch64-",
    )
    return Row(told(RK3588 / "no-suffix/chrdevbase.ko", board()), "localversion", fix, ("6.1.176 (", SUFFIX))


def localversion_in_this_users_tree(folder: Path) -> Row:
    """The gate of the README: the tree the module was built in, and what the board runs."""
    tree = tree_at(folder, RK3588)
    header = tree / "include/generated/utsrelease.h"
    header.write_text('#define UTS_RELEASE "6.1.176"\n')
    target = read_target(symvers=[tree / "Module.symvers"], release=SUFFIX, config=RK3588 / "tree/.config")
    module = made(folder / "driver", RK3588 / "no-suffix/chrdevbase.ko")
    (folder / "driver/Makefile").touch()
    fix = (
        f"{tree}/scripts/config --file {tree}/.config --set-str LOCALVERSION",
        f"make -C {tree} ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- M={folder}/driver clean",
        f"make -C {tree} ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- M={folder}/driver modules",
    )
    return Row(told(module, target), "localversion", fix)


def localversion_and_the_kernels_own_tree(folder: Path) -> Row:
    """Where the kernel's own tree is at hand, the module is built there."""
    tree = tree_at(folder, RK3588)
    fix = (f"make -C {tree} ARCH=arm64", "# or, in the tree that it was built in:", "--set-str LOCALVERSION", "KDIR=…")
    return Row(told(RK3588 / "no-suffix/chrdevbase.ko", read_target(tree)), "localversion", fix)


def localversion_and_git(folder: Path) -> Row:
    """Both at once: one without the other mends nothing."""
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"6.1.176+ {FLAGS}"))
    fix = ('--set-str LOCALVERSION "-rockchip-rk3588"', "-d LOCALVERSION_AUTO", "LOCALVERSION= olddefconfig")
    return Row(told(module, board()), "localversion", fix)


def localversion_without_the_targets_architecture(folder: Path) -> Row:
    """A make without ARCH= would turn the tree into one for the machine that it runs on."""
    prediction = told(RK3588 / "no-suffix/chrdevbase.ko", read_target(release=SUFFIX))
    return Row(prediction, "localversion", ("ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- olddefconfig",))


def localversion_superfluous(folder: Path) -> Row:
    prediction = told(RK3588 / "chrdevbase.ko", board("6.1.176"))
    return Row(prediction, "localversion", ('--set-str LOCALVERSION ""',), ("the kernel: 6.1.176 (--release)",))


def localversion_other(folder: Path) -> Row:
    prediction = told(RK3588 / "chrdevbase.ko", board("6.1.176-sunxi64"))
    return Row(prediction, "localversion", ('--set-str LOCALVERSION "-sunxi64"',))


def other_headers(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"5.15.0-91-generic {FLAGS}"))
    prediction = told(module, board("5.15.148-tegra", kernel_version="6.1.176"))
    return Row(
        prediction, "other-headers", ("apt install nvidia-l4t-kernel-headers", "/lib/modules/5.15.148-tegra/build")
    )


def other_flavour(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"5.15.0-91-lowlatency {FLAGS}"))
    prediction = told(module, board("5.15.0-91-generic", kernel_version="6.1.176"))
    return Row(prediction, "other-flavour", ("apt install linux-headers-5.15.0-91-generic",), ("lowlatency",))


def other_debug_flavour(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"6.6.8-200.fc39.aarch64 {FLAGS}"))
    prediction = told(module, board("6.6.8-200.fc39.aarch64+debug", kernel_version="6.1.176"))
    return Row(prediction, "other-flavour", ("dnf install kernel-debug-devel-6.6.8-200.fc39.aarch64",))


def other_version(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"6.1.175-rockchip-rk3588 {FLAGS}"))
    return Row(
        told(module, board()),
        "other-version",
        ("the headers, of 6.1.176-rockchip-rk3588", "clean", "modules"),
        ("6.1.175-rockchip-rk3588",),
    )


def other_abi(folder: Path) -> Row:
    """A real module of another Debian kernel."""
    (module,) = (DATA / "modules").glob("amd64-6.12*/libie.ko.xz")
    prediction = told(module, read_target(DEBIAN / "tree"), loader="insmod")
    fix = ("apt install linux-headers-6.1.0-56-amd64", "/lib/modules/6.1.0-56-amd64/build")
    return Row(prediction, "other-abi", fix, ("6.12.117+deb13-amd64", "6.1.0-56-amd64"))


def other_abi_arch_linux(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"5.1.6-arch1-1 {FLAGS}"))
    prediction = told(module, board("5.1.7-arch1-1", kernel_version="6.1.176"))
    return Row(prediction, "other-abi", ("pacman -S linux-headers", "or reboot"))


def other_config(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"{SUFFIX} preempt aarch64"))
    fix = (f"zcat -f {RK3588}/tree/.config >", "olddefconfig modules_prepare")
    evidence = (
        f"CONFIG_SMP: n by the module's vermagic; y in {RK3588}/tree/.config",
        f"CONFIG_PREEMPT_BUILD: y by the module's vermagic; n in {RK3588}/tree/.config",
        f"CONFIG_MODULE_UNLOAD: n by the module's vermagic; y in {RK3588}/tree/.config",
    )
    return Row(told(module, board()), "other-config", fix, evidence)


def other_config_in_files(folder: Path) -> Row:
    """Which option, in which file, what it is on each side."""
    tree = tree_at(folder, RK3588)
    config = (tree / ".config").read_text()
    (tree / ".config").write_text(config.replace("CONFIG_SMP=y\n", "# CONFIG_SMP is not set\n"))
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"{SUFFIX} mod_unload aarch64"))
    target = read_target(symvers=[tree / "Module.symvers"], release=SUFFIX, config=RK3588 / "tree/.config")
    evidence = (f"CONFIG_SMP: n in {tree}/.config; y in {RK3588}/tree/.config",)
    return Row(
        told(module, target), "other-config", (f"zcat -f {RK3588}/tree/.config > {tree}/.config.new && mv",), evidence
    )


def other_config_rt(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"{SUFFIX} SMP preempt_rt mod_unload aarch64"))
    return Row(told(module, board()), "other-config", ("olddefconfig modules_prepare",), ("CONFIG_PREEMPT_RT: y by",))


def randstruct(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"{SUFFIX} {FLAGS}RANDSTRUCT_0123"))
    prediction = told(made(folder, module, vermagic(f"{SUFFIX} {FLAGS} RANDSTRUCT_012")), board())
    return Row(prediction, "other-config", ("olddefconfig",), ("RANDSTRUCT_012: in the module alone",))


def modversions_in_module(folder: Path) -> Row:
    evidence = (f"CONFIG_MODVERSIONS: y by the module's vermagic; n in {RK3588}/tree/.config",)
    return Row(told(CRCS / "chrdevbase.ko", board()), "modversions", ("olddefconfig modules_prepare",), evidence)


def modversions_in_kernel(folder: Path) -> Row:
    fix = ("zcat -f", "olddefconfig modules_prepare", f"cp {CRCS}/tree/Module.symvers")
    return Row(
        told(RK3588 / "chrdevbase.ko", board(tree=CRCS)), "modversions", fix, ("no `modversions` in its vermagic",)
    )


def modversions_by_config_alone(folder: Path) -> Row:
    """The `.config` says that the kernel has no CRCs: then the release of vermagic counts."""
    target = read_target(config=RK3588 / "tree/.config", release=SUFFIX)
    return Row(told(CRCS / "chrdevbase.ko", target), "modversions", ("olddefconfig",), ("CONFIG_MODVERSIONS",))


def other_cpu(folder: Path) -> Row:
    target = read_target(SAMPLES / "sunxi/tree")
    evidence = ("CONFIG_CPU_32v6: y by", "CONFIG_CPU_32v7: n by", "CONFIG_THUMB2_KERNEL: n by")
    prediction = told(SAMPLES / "sunxi/armv6/chrdevbase.ko", target)
    return Row(prediction, "other-cpu", ("ARCH=arm CROSS_COMPILE=arm-linux-gnueabihf- olddefconfig",), evidence)


def other_cpu_mips(folder: Path) -> Row:
    (config,) = (DATA / "vermagic").glob("6.1.0-50-4kc-malta.config")
    module = next((DATA / "modules").glob("mipsel-6.1*/*.ko.xz"))
    text = (read_module(module).vermagic or "").replace("MIPS32_R2", "MIPS32_R1")
    path = made(folder, module, vermagic(text))
    target = read_target(release="6.1.0-50-4kc-malta", config=config)
    return Row(
        told(path, target), "other-cpu", ("ARCH=mips",), ("CONFIG_CPU_MIPS32_R1: y by", "CONFIG_CPU_MIPS32_R2: n by")
    )


def old_compiler(folder: Path) -> Row:
    module = next((DATA / "modules").glob("i386-5.10*/ac97_bus.ko.xz"))
    path = made(folder, module, vermagic("2.6.5-1.358 686 REGPARM 4KSTACKS gcc-3.4"))
    target = read_target(vermagic="2.6.5-1.358 686 REGPARM 4KSTACKS gcc-3.3", arch="i386")
    return Row(told(path, target), "other-compiler", ("CC=gcc-3.3",), ("gcc-3.4",))


def extraversion(folder: Path) -> Row:
    """The two strings of the module programming guide."""
    module = next((DATA / "modules").glob("i386-5.10*/ac97_bus.ko.xz"))
    path = made(folder, module, vermagic("2.6.5-1.358custom 686 REGPARM 4KSTACKS gcc-3.3"))
    target = read_target(vermagic="2.6.5-1.358 686 REGPARM 4KSTACKS gcc-3.3", arch="i386")
    fix = ('s/^EXTRAVERSION =.*/EXTRAVERSION = -1.358/\' "$KDIR"/Makefile', "modules_prepare")
    return Row(told(path, target), "extraversion", fix, ("2.6.5-1.358custom",))


def extraversion_with_the_config(folder: Path) -> Row:
    """The same, and the running kernel's .config says that there are no CRCs: refused."""
    module = next((DATA / "modules").glob("i386-5.10*/ac97_bus.ko.xz"))
    path = made(folder, module, vermagic("2.6.5-1.358custom 686 REGPARM 4KSTACKS gcc-3.3"))
    config = folder / "running_kernel.config"
    config.write_text("# Linux kernel version: 2.6.5-1.358\nCONFIG_X86_32=y\nCONFIG_M686=y\nCONFIG_MODULES=y\n")
    target = read_target(vermagic="2.6.5-1.358 686 REGPARM 4KSTACKS gcc-3.3", config=config)
    prediction = told(path, target)
    assert prediction.verdict == "refused"
    return Row(prediction, "extraversion", ("EXTRAVERSION = -1.358/'", "oldconfig modules_prepare"))


def extraversion_plus(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"4.1.10+-v7 {FLAGS}"))
    prediction = told(module, board("4.1.10-v7+", kernel_version="6.1.176"))
    return Row(prediction, "extraversion", ("s/^EXTRAVERSION =.*/EXTRAVERSION =/", '--set-str LOCALVERSION "-v7+"'))


def other_headers_raspberry(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"4.1.10-mine {FLAGS}"))
    prediction = told(module, board("4.1.10-v7+", kernel_version="6.1.176"))
    return Row(prediction, "other-headers", ("raspberrypi-kernel-headers",))


def two_commits(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"6.1.176-foo-00012-g1234567 {FLAGS}"))
    prediction = told(module, board("6.1.176-foo-00019-g7654321"))
    return Row(prediction, "git-suffix", ("checkout 7654321",))


def real_time_patches(folder: Path) -> Row:
    """No option makes this suffix, but a file that comes with the patches."""
    return Row(told(RK3588 / "no-suffix/chrdevbase.ko", board("6.1.176-rt47")), "other-version", ("clean", "modules"))


def extraversion_plus_in_the_wrong_place(folder: Path) -> Row:
    module = made(folder, RK3588 / "chrdevbase.ko", vermagic(f"6.1.176+-board {FLAGS}"))
    fix = ("s/^EXTRAVERSION =.*/EXTRAVERSION =/", '--set-str LOCALVERSION "-board+"')
    return Row(told(module, board("6.1.176-board+")), "extraversion", fix)


def other_architecture(folder: Path) -> Row:
    prediction = told(RK3588 / "chrdevbase.ko", read_target(DEBIAN / "tree"))
    return Row(
        prediction, "other-architecture", ("ARCH=x86_64 CROSS_COMPILE=x86_64-linux-gnu-",), ("64 bits, little-endian",)
    )


def other_word_size(folder: Path) -> Row:
    prediction = told(SAMPLES / "sunxi/chrdevbase.ko", read_target(RK3588 / "tree"))
    return Row(prediction, "other-architecture", ("ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-",), ("32 bits",))


def other_byte_order(folder: Path) -> Row:
    module = next((DATA / "modules").glob("s390x-6.1*/*.ko.xz"))
    prediction = told(module, read_target(RK3588 / "tree"))
    return Row(prediction, "other-architecture", ("ARCH=arm64",), ("big-endian", "little-endian"))


def object_file(folder: Path) -> Row:
    path = made(
        folder, RK3588 / "chrdevbase.ko", partial(with_section_name, old=".gnu.linkonce.this_module", new=".data")
    )
    return Row(told(path, board()), "not-a-module", ("give the .ko that modpost made",), (".gnu.linkonce.this_module",))


def shared_library(folder: Path) -> Row:
    import _ctypes

    prediction = told(Path(_ctypes.__file__), read_target(DEBIAN / "tree"))
    return Row(prediction, "not-a-module", ("give the .ko that modpost made",), ("ELF type 3",))


def stripped(folder: Path) -> Row:
    def without_symbols(data: bytes) -> bytes:
        at_ = header_of(data, ".symtab")
        return with_section_name(put(data, at_ + 4, (1).to_bytes(4, "little")), ".symtab", ".gone")

    path = made(folder, RK3588 / "chrdevbase.ko", without_symbols)
    return Row(told(path, board()), "not-a-module", ("strip nothing but --strip-debug",), (".symtab",))


def struct_module(folder: Path) -> Row:
    target = with_config(at(board(), 6, 12, 0), DEBUG_INFO_BTF_MODULES="y")
    target = replace(target, this_module_size=1280)
    prediction = told(RK3588 / "chrdevbase.ko", target)
    fix = ("apt install dwarves", "olddefconfig modules_prepare")
    return Row(prediction, "struct-module", fix, ("1280 in the kernel", "DEBUG_INFO_BTF_MODULES=y"))


def struct_module_by_options(folder: Path) -> Row:
    """The two .config tell which of the options that change struct module differ."""
    tree = tree_at(folder, RK3588)
    target = replace(
        read_target(symvers=[tree / "Module.symvers"], release=SUFFIX, config=DEBIAN_ARM64 / "tree/.config"),
        this_module_size=1280,
        vermagic=read_module(RK3588 / "chrdevbase.ko").vermagic,
    )
    prediction = told(RK3588 / "chrdevbase.ko", at(target, 6, 12, 0))
    evidence = (f"CONFIG_KPROBES: n in {tree}/.config; y in {DEBIAN_ARM64}/tree/.config", "CONFIG_TRACEPOINTS: n in")
    return Row(prediction, "struct-module", (f"zcat -f {DEBIAN_ARM64}/tree/.config > {tree}/.config.new",), evidence)


def other_kernel(folder: Path) -> Row:
    """The same release and flags, and another build's CRCs."""
    target = read_target(
        release=SUFFIX,
        config=CRCS / "tree/.config",
        symvers=[shutil.copy(DEBIAN_ARM64 / "tree/Module.symvers.xz", folder)],
        vendor="upstream",
    )
    prediction = told(CRCS / "chrdevbase.ko", target)
    fix = (f"zcat -f {CRCS}/tree/.config >", "Module.symvers", "clean", "modules")
    return Row(prediction, "other-kernel", fix, ("8 of 14 CRCs differ, module_layout among them",))


def dependency_built_elsewhere(folder: Path) -> Row:
    target = read_target(
        CRCS / "tree", symvers=[CRCS / "tree/Module.symvers", CRCS / "Module.symvers"], vendor="upstream"
    )
    path = made(folder, CRCS / "sample_import.ko", partial(with_crc, name="sample_scale", crc=0x1234))
    fix = (f"KBUILD_EXTRA_SYMBOLS={CRCS}/Module.symvers", "load the sample_export that")
    return Row(told(path, target), "dependency-built-elsewhere", fix, ("exported by sample_export: sample_scale",))


def changed_structure(folder: Path) -> Row:
    path = made(folder, CRCS / "chrdevbase.ko", partial(with_crc, name="cdev_add", crc=0x1234))
    prediction = told(path, board(tree=CRCS))
    return Row(
        prediction, "changed-structure", ("KBUILD_SYMTYPES=1",), ("1 of 14 CRCs differ, module_layout is the same",)
    )


def no_crcs_in_table(folder: Path) -> Row:
    loose = shutil.copy(RK3588 / "tree/Module.symvers", folder)
    target = read_target(release=SUFFIX, config=CRCS / "tree/.config", symvers=[loose])
    return Row(told(CRCS / "chrdevbase.ko", target), "no-crcs", ("make -C", "modcheck symvers"), ("0x00000000",))


def no_symvers_in_tree(folder: Path) -> Row:
    tree = tree_at(folder, CRCS, "Module.symvers")
    fix = (f"make -C {tree}", "modcheck symvers ROOTFS -o Module.symvers")
    return Row(told(CRCS / "chrdevbase.ko", read_target(tree)), "no-symvers", fix, (f"no Module.symvers in {tree}",))


def empty_symvers_in_tree(folder: Path) -> Row:
    tree = tree_at(folder, CRCS)
    (tree / "Module.symvers").write_bytes(b"")
    return Row(told(CRCS / "chrdevbase.ko", read_target(tree)), "no-symvers", (f"make -C {tree}",))


def built_without_symvers(folder: Path) -> Row:
    prediction = told(DEBIAN / "no-symvers/chrdevbase.ko", read_target(DEBIAN / "tree"))
    return Row(
        prediction, "no-symvers", ("apt install linux-headers-6.1.0-56-amd64", "KBUILD_MODPOST_WARN"), ("0 CRCs",)
    )


def stale_tree(folder: Path) -> Row:
    tree = tree_at(folder, CRCS)
    os.utime(tree / "Module.symvers", (1_700_000_000, 1_700_000_000))
    path = made(folder, CRCS / "chrdevbase.ko", partial(with_crc, name="cdev_add", crc=0x1234))
    evidence = ("was written 2023-11-14 22:13", "utsrelease.h", f"which says {SUFFIX}")
    return Row(told(path, read_target(tree, vendor="upstream")), "stale-symvers", (f"make -C {tree}",), evidence)


def stale_table_beside_the_module(folder: Path) -> Row:
    """The table in the module's own folder has the very CRCs that the kernel has not."""
    path = made(folder / "driver", CRCS / "chrdevbase.ko", partial(with_crc, name="cdev_add", crc=0x1234))
    row = "0x00001234\tcdev_add\tvmlinux\tEXPORT_SYMBOL\t\n"
    (folder / "driver/Module.symvers").write_text(row)
    prediction = told(path, board(tree=CRCS))
    fix = (f"rm {folder}/driver/Module.symvers", "clean", "modules")
    return Row(prediction, "stale-symvers", fix, (f"{folder}/driver/Module.symvers, written",))


def dependency_not_loaded(folder: Path) -> Row:
    target = read_target(RK3588 / "tree", symvers=[RK3588 / "tree/Module.symvers", RK3588 / "Module.symvers"])
    prediction = told(RK3588 / "sample_import.ko", target, loader="insmod")
    return Row(prediction, "dependency-not-loaded", ("modprobe sample_import", "modprobe sample_export"), ("depends=",))


def renamed(folder: Path) -> Row:
    path = made(folder, RK3588 / "chrdevbase.ko", partial(with_symbol, name="cdev_add", renamed="cdev_adX"))
    return Row(told(path, board(), loader="insmod"), "renamed", ("LINUX_VERSION_CODE",), ("like cdev_adX: cdev_add",))


def not_exported(folder: Path) -> Row:
    path = made(folder, RK3588 / "chrdevbase.ko", partial(with_symbol, name="cdev_add", renamed="qqzzqqzz"))
    return Row(told(path, board(), loader="insmod"), "not-exported", ("EXPORT_SYMBOL.*(qqzzqqzz)",))


def trimmed(folder: Path) -> Row:
    path = made(folder, RK3588 / "chrdevbase.ko", partial(with_symbol, name="cdev_add", renamed="cdev_adX"))
    target = with_config(board(), TRIM_UNUSED_KSYMS="y")
    fix = ("CONFIG_UNUSED_KSYMS_WHITELIST", "-d TRIM_UNUSED_KSYMS")
    return Row(told(path, target, loader="insmod"), "trimmed", fix, ("CONFIG_TRIM_UNUSED_KSYMS=y",))


def licence(folder: Path) -> Row:
    return Row(told(RK3588 / "sample_proprietary.ko", board()), "licence", ("GPL v2", "Dual MIT/GPL"), ("license=",))


def namespace(folder: Path) -> Row:
    modules = [read_module(RK3588 / "sample_export.ko")]
    prediction = told(RK3588 / "sample_no_import.ko", board(), modules=modules)
    return Row(prediction, "namespace", ("MODULE_IMPORT_NS(SAMPLE);", "nsdeps"), ("is in SAMPLE", "imported: none"))


def namespace_quoted(folder: Path) -> Row:
    exporter = read_module(DEBIAN / "sample_export.ko")
    target = replace(at(read_target(DEBIAN / "tree"), 6, 13, 0), this_module_size=exporter.this_module_size)
    prediction = told(DEBIAN / "sample_no_import.ko", target, loader="insmod", loaded=[exporter])
    return Row(prediction, "namespace", ('MODULE_IMPORT_NS("SAMPLE");',))


SIGNING = {"MODULE_SIG": "y", "MODULE_SIG_FORCE": "y", "MODULE_SIG_HASH": "sha256", "SYSTEM_TRUSTED_KEYRING": "y"}


def unsigned(folder: Path) -> Row:
    prediction = told(RK3588 / "chrdevbase.ko", with_config(board(), **SIGNING))
    fix = ("scripts/sign-file sha256",)
    return Row(prediction, "unsigned", fix, ("CONFIG_MODULE_SIG_FORCE=y",))


def other_key(folder: Path) -> Row:
    certificate = read_certificate(str(DATA / "certificates/6.1.0-56-amd64.der"))
    target = replace(
        read_target(DEBIAN / "tree", cmdline="module.sig_enforce=1"), certificates=(certificate,), all_certificates=True
    )
    path = made(folder, DEBIAN / "chrdevbase.ko", signed)
    fix = ("mokutil --import", "scripts/sign-file", "modinfo -F sig_key")
    evidence = ("modcheck's own key for tests", "module.sig_enforce in the command line")
    return Row(told(path, target), "other-key", fix, evidence)


def changed_after_signing(folder: Path) -> Row:
    path = made(folder, RK3588 / "chrdevbase.ko", signed, lambda data: data + b"appended")
    return Row(told(path, with_config(board(), **SIGNING)), "broken-signature", ("sign last",), ("is not at the end",))


def compressed_with_crc64(folder: Path) -> Row:
    path = folder / "chrdevbase.ko.xz"
    path.write_bytes(lzma.compress(read_plain(RK3588 / "chrdevbase.ko"), check=lzma.CHECK_CRC64))
    target = with_config(board(), MODULE_DECOMPRESS="y", MODULE_COMPRESS_XZ="y")
    return Row(told(path, target), "compression", ("xz --check=crc32 --lzma2=dict=1MiB",), ("the first bytes",))


def other_btf(folder: Path) -> Row:
    """A module of Debian's that is not of the kernel's build, as far as it says."""
    (module,) = (DATA / "modules").glob("amd64-6.1.0*/virtio_dma_buf.ko.xz")
    path = made(folder, module, lambda data: data.replace(b"\0intree=Y", b"\0intree_Y"))
    prediction = told(path, with_config(read_target(DEBIAN / "tree"), DEBUG_INFO_BTF_MODULES="y"))
    return Row(prediction, "other-btf", ("objcopy -R .BTF -R .BTF.base",), ("CONFIG_DEBUG_INFO_BTF_MODULES=y",))


def _forget(data: bytes, name: str) -> bytes:
    """The module without the CRC of a symbol: its record has another name."""
    return put(data, version_of(data, name) + 8, b"~" * len(name))


def no_crc_of_an_exporter(folder: Path) -> Row:
    target = read_target(
        CRCS / "tree", symvers=[CRCS / "tree/Module.symvers", CRCS / "Module.symvers"], vendor="debian"
    )
    path = made(folder, CRCS / "sample_import.ko", partial(_forget, name="sample_scale"))
    evidence = ("whose kernel it is: debian; it refuses",)
    return Row(told(path, target), "no-extra-symvers", (f"KBUILD_EXTRA_SYMBOLS={CRCS}/Module.symvers",), evidence)


def no_crc_of_an_exporter_upstream(folder: Path) -> Row:
    target = read_target(
        CRCS / "tree", symvers=[CRCS / "tree/Module.symvers", CRCS / "Module.symvers"], vendor="upstream"
    )
    path = made(folder, CRCS / "sample_import.ko", partial(_forget, name="sample_scale"))
    prediction = told(path, target)
    assert prediction.verdict == "loads"
    return Row(prediction, "no-extra-symvers", ("KBUILD_EXTRA_SYMBOLS=",), ("whose kernel it is: upstream; it takes",))


def retpoline(folder: Path) -> Row:
    path = made(folder, DEBIAN / "chrdevbase.ko", lambda data: data.replace(b"retpoline=Y", b"retpolinX=Y"))
    prediction = told(path, read_target(DEBIAN / "tree"))
    assert prediction.verdict == "loads"
    return Row(prediction, "retpoline", ("gcc 7.3",), ("no retpoline= in .modinfo",))


def dkms(folder: Path) -> Row:
    path = made(folder, RK3588 / "no-suffix/chrdevbase.ko", name=f"lib/modules/{SUFFIX}/updates/dkms/chrdevbase.ko")
    fix = (
        'MAKE[0]="make KVER=$kernelver KERNELDIR=/lib/modules/$kernelver/build"',
        f"dkms build -m chrdevbase -v VERSION -k {SUFFIX}",
    )
    return Row(told(path, board()), "dkms-other-release", fix, ("vermagic: 6.1.176 ",))


#: the rows that a module and a target can show, and the two strings of EXTRAVERSION
ROWS: dict[str, tuple[Callable[[Path], Row], ...]] = {
    "A1": (git_suffix, git_suffix_dirty, two_commits),
    "A2": (git_suffix_missing,),
    "A3": (localversion, localversion_in_this_users_tree, localversion_and_the_kernels_own_tree, localversion_and_git,
           localversion_without_the_targets_architecture, localversion_superfluous, localversion_other, other_headers,
           other_flavour, other_debug_flavour, other_headers_raspberry),
    "A4": (other_version, real_time_patches, other_abi, other_abi_arch_linux),
    "A5": (other_config, other_config_in_files, other_config_rt, randstruct),
    "A6": (modversions_in_module, modversions_in_kernel),
    "A7": (other_cpu, other_cpu_mips),
    "A8": (old_compiler,),
    "A9": (other_architecture, other_word_size, other_byte_order),
    "A10": (object_file, shared_library, stripped),
    "A11": (struct_module, struct_module_by_options),
    "A12": (other_kernel,),
    "A13": (dependency_built_elsewhere,),
    "A14": (changed_structure,),
    "A15": (no_crcs_in_table,),
    "A16": (no_symvers_in_tree, empty_symvers_in_tree, built_without_symvers),
    "A17": (stale_tree, stale_table_beside_the_module),
    "A18": (dependency_not_loaded,),
    "A19": (renamed, not_exported),
    "A20": (trimmed,),
    "A21": (licence,),
    "A22": (namespace, namespace_quoted),
    "A23": (unsigned,),
    "A24": (other_key,),
    "A25": (changed_after_signing,),
    "A26": (compressed_with_crc64,),
    "A28": (other_btf,),
    "A29": (no_crc_of_an_exporter, no_crc_of_an_exporter_upstream),
    "A30": (modversions_by_config_alone,),
    "A31": (retpoline,),
    "A33": (dkms,),
    "EXTRAVERSION": (extraversion, extraversion_with_the_config, extraversion_plus,
                     extraversion_plus_in_the_wrong_place),
}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "show"),
    [pytest.param(number, show, id=f"{number}-{show.__name__}") for number, shows in ROWS.items() for show in shows],
)
def test_the_cause_comes_first_with_the_right_command(number: str, show: Callable[[Path], Row], tmp_path: Path) -> None:
    row = show(tmp_path)
    causes = row.prediction.causes
    assert [cause.name for cause in causes][:1] == [row.cause], causes
    first = causes[0]
    assert first.why
    assert first.evidence
    for part in row.fix:
        assert any(part in step for step in first.fix), (part, first.fix)
    for part in row.evidence:
        assert any(part in text for text in first.evidence), (part, first.evidence)
    for step in first.fix:
        assert "--force-" not in step
        assert "utsrelease.h" not in step
        assert "objcopy --" not in step
    assert not any(map(cleans_and_builds, (step for cause in row.prediction.causes for step in cause.fix)))


def cleans_and_builds(line: str) -> bool:
    """Whether one call of make has both words, which kbuild since 6.13 does not take for a module's folder."""
    calls = (call.partition("#")[0].split() for call in re.split(r"&&|;|\n", line))
    return any("clean" in words and "modules" in words for words in calls)


def test_no_call_of_make_cleans_and_builds() -> None:
    """Neither in what is printed, whichever remedy it is, nor in what is read: kbuild needs two calls."""
    assert cleans_and_builds('make -C "$KDIR" M="$PWD" clean modules')
    for kind in ("README*.md", "docs/*.md", "sample_modules/*.sh", "modcheck/**/*.py", "tests/golden/*.json"):
        for path in ROOT.glob(kind):
            assert not re.search(r"\bclean modules\b", path.read_text(encoding="utf-8")), path


def test_every_row_that_can_be_shown_is() -> None:
    shown = [number for number in range(1, 34) if number not in (27, 32)]
    assert set(ROWS) == {f"A{number}" for number in shown} | {"EXTRAVERSION"}


def test_each_finding_has_the_why_and_the_fix_of_its_cause() -> None:
    prediction = told(RK3588 / "no-suffix/chrdevbase.ko", board())
    (cause,) = prediction.causes
    (finding,) = (one for one in prediction.findings if one.level == "error")
    assert (finding.why, finding.fix) == (cause.why, cause.fix)


def test_force_is_told_with_its_risk_and_never_as_a_remedy() -> None:
    target = with_config(board(), MODULE_FORCE_LOAD="y")
    prediction = told(RK3588 / "no-suffix/chrdevbase.ko", target)
    assert "would get past this" in prediction.force
    assert "silent damage" in prediction.force
    off = told(RK3588 / "no-suffix/chrdevbase.ko", board())
    assert "would not help" in off.force
    assert told(RK3588 / "sample_proprietary.ko", target).force == ""


def test_a_refusal_that_nothing_explains_has_what_its_rule_says() -> None:
    target = replace(board(), cmdline="module_blacklist=chrdevbase")
    (cause,) = told(RK3588 / "chrdevbase.ko", target).causes
    assert (cause.name, cause.explains) == ("blacklist", ("blacklist",))
    assert cause.fix


def test_the_tree_is_found_by_debug_information(tmp_path: Path) -> None:
    """A module with DWARF names the folder that it was built in: the .config there is the module's."""
    short = Path(f"/tmp/mc{os.getpid():013d}")
    data = read_plain(DATA / "types/plain/chrdevbase.ko.xz").replace(b"/usr/src/build-plain", str(short).encode())
    path = tmp_path / "chrdevbase.ko"
    path.write_bytes(data)
    tree = tree_at(tmp_path, CRCS)
    short.symlink_to(tree)
    try:
        prediction = told(path, read_target(DEBIAN_ARM64 / "tree", vendor="upstream"))
    finally:
        short.unlink()
    assert any(f"{short}/.config" in text for cause in prediction.causes for text in cause.evidence), prediction.causes


def test_the_tree_is_found_by_what_kbuild_left(tmp_path: Path) -> None:
    """Since 6.13 the compiler is called with the tree's whole path; the words are those of the top Makefile's
    LINUXINCLUDE."""
    tree = tree_at(tmp_path, CRCS)
    module = made(tmp_path / "driver", RK3588 / "chrdevbase.ko")
    includes = f"-I/usr/src/linux/arch/arm64/include -I{tree}/arch/arm64/include/generated -I{tree}/include -include x"
    (module.parent / ".chrdevbase.mod.o.cmd").write_text(f"savedcmd_chrdevbase.mod.o := gcc -nostdinc {includes}\n")
    prediction = told(module, read_target(DEBIAN_ARM64 / "tree", vendor="upstream"))
    assert any(f"{tree}/.config" in text for cause in prediction.causes for text in cause.evidence), prediction.causes


def test_a_module_that_loads_has_no_causes() -> None:
    prediction = told(RK3588 / "chrdevbase.ko", board())
    assert prediction.verdict == "loads"
    assert prediction.causes == ()


def test_a_board_known_by_its_config_and_release(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    """What the config decides, what it cannot, and the shortest list of files: those are enough, and none too many."""
    shutil.copy(RK3588 / "tree/.config", tmp_path / "running_kernel.config")
    words = (RK3588 / "chrdevbase.ko", "--release", SUFFIX, "--config", tmp_path / "running_kernel.config", "--strict")
    run = modcheck(*words)
    assert run.status == 3
    for text in (
        f"  decided by {tmp_path}/running_kernel.config:",
        f"    vermagic: every word of it, '{SUFFIX} {FLAGS}'",
        "    versions: no CRCs are compared, and vermagic counts whole (CONFIG_MODVERSIONS is off)",
        "    signature: none is looked at (CONFIG_MODULE_SIG is off)",
        "    unknown-symbol: the kernel's Module.symvers (--symvers FILE)",
        f"    /boot/vmlinuz-{SUFFIX}, or the kernel image that the board boots (--kernel): unknown-symbol",
    ):
        assert text in run.stdout.splitlines(), text
    (entry,) = modcheck("--format", "json", *words).document["modules"]
    assert [one["option"] for one in entry["fetch"]] == ["--kernel"]
    exports = [row for row in read_symvers(RK3588 / "tree/Module.symvers") if row.owner == "vmlinux"]
    banner = f"Linux version {SUFFIX} (a@b) (gcc) #1 SMP\n\0{SUFFIX} {FLAGS}\0".encode()
    (tmp_path / "vmlinuz").write_bytes(made_kernel.table(exports, crc=0, before=banner))
    assert modcheck(*words, "--kernel", tmp_path / "vmlinuz").status == 0
    forgotten = (RK3588 / "no-suffix/chrdevbase.ko", *words[1:])
    assert modcheck(*forgotten).status == 1  # this much the config decides alone


def test_a_module_that_needs_others_wants_the_boards_modules_as_well() -> None:
    target = read_target(release=SUFFIX, config=CRCS / "tree/.config")
    fetched = told(CRCS / "sample_import.ko", target).fetch
    assert [one.option for one in fetched] == ["--modules-dir", "--kernel"]
    assert fetched[0].file == f"/lib/modules/{SUFFIX}"
    alone = told(CRCS / "chrdevbase.ko", target).fetch
    assert [one.option for one in alone] == ["--kernel"]
    assert set(alone[0].decides) == {"module-layout", "unknown-symbol"}


def test_the_compilers_are_told_where_they_are_far_apart(tmp_path: Path) -> None:
    config = (CRCS / "tree/.config").read_text()
    far = tmp_path / "config"
    far.write_text(config.replace("12.2.0", "8.3.0"))
    path = made(tmp_path, CRCS / "chrdevbase.ko", partial(with_crc, name="cdev_add", crc=0x1234))
    symvers = [CRCS / "tree/Module.symvers"]
    target = read_target(release=SUFFIX, config=far, symvers=symvers, vendor="upstream")
    names = [cause.name for cause in told(path, target).causes]
    assert names == ["changed-structure", "compiler"]
    near = read_target(release=SUFFIX, config=CRCS / "tree/.config", symvers=symvers, vendor="upstream")
    assert [cause.name for cause in told(path, near).causes] == ["changed-structure"]
    assert read_config(far).get("CC_VERSION_TEXT").endswith("8.3.0")


def test_two_faults_of_one_rule_are_both_told(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    """Suffix and options: whoever mends the first alone meets the second."""
    module = made(tmp_path, RK3588 / "chrdevbase.ko", vermagic("6.1.176 SMP aarch64"))
    run = modcheck(module, "--release", SUFFIX, "--config", RK3588 / "tree/.config")
    assert "--set-str LOCALVERSION" in run.stdout
    assert "CONFIG_MODULE_UNLOAD: n by the module's vermagic" in run.stdout
