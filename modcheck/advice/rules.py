"""What each rule is about, for `modcheck explain`: words, which nothing decides by."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """One rule's text; every field is one or more whole sentences."""

    does: str
    """what the kernel does, and with which errno"""
    since: str
    """which versions do it, and where it changed"""
    options: str
    """which facts of the kernel decide"""
    mend: str
    """what helps"""


#: what introduces each field
TITLES = ("the kernel", "since", "it depends on", "to mend it")

RULES = {
    "already-loaded": Rule(
        "A module of that name is loaded: EEXIST, without a line. modprobe takes that for success.",
        "Since 2.6; judged first of all but ELF and versions since 6.4, after the memory is laid out in 3.8 to "
        "6.3, and only after the symbols in 2.6.36 to 3.7.",
        "What is loaded (--loaded).",
        "Unload the other one first (rmmod). The name is the one inside the file, not the file's own.",
    ),
    "arch": Rule(
        "The machine in the ELF header (on some architectures its word size, too) is not the kernel's: ENOEXEC.",
        "Always. From 5.16 on the kernel says `Invalid architecture in ELF header`, before nothing or `Module has"
        " invalid ELF structures`. powerpc compares the ABI version since 6.3.",
        "The kernel's architecture (--arch, or its .config).",
        "Build with the kernel's ARCH= and CROSS_COMPILE=.",
    ),
    "arch-sections": Rule(
        "A section is missing that the architecture's module linker script lays (.plt, .got, .stubs …): ENOEXEC. "
        "Both .ctors and .init_array: EINVAL.",
        "arm 4.2, arm64 4.5, riscv 4.16, loongarch 5.19, powerpc always; constructors since 5.13.",
        "CONFIG_ARM_MODULE_PLTS, CONFIG_ARM64_MODULE_PLTS (always on since 6.5), CONFIG_MODULE_SECTIONS, "
        "CONFIG_CONSTRUCTORS.",
        "Link the module with the kernel's kbuild, not by hand with `ld -r`; prepare the tree with the kernel's "
        ".config.",
    ),
    "blacklist": Rule(
        "The module's name is in module_blacklist= on the kernel's command line: EPERM.",
        "Since 4.7; with the line `Module NAME is blacklisted` since 5.11 (and late 5.10.y).",
        "The command line (--cmdline). `blacklist` in modprobe.d is another matter: it stops loading by alias only.",
        "Take the name off the list in the boot loader's configuration.",
    ),
    "btf": Rule(
        "The module's type information (.BTF) is damaged or refers to another kernel's types: refused, mostly "
        "EINVAL, or loaded without it.",
        "Looked at since 5.11, refused unless CONFIG_MODULE_ALLOW_BTF_MISMATCH is on (5.18 and later).",
        "CONFIG_DEBUG_INFO_BTF_MODULES, CONFIG_MODULE_ALLOW_BTF_MISMATCH; the kernel's own BTF, from a build "
        "tree's vmlinux or the image (--kernel).",
        "Build in a tree with the vmlinux of that very kernel, or without BTF (no vmlinux in the tree: kbuild "
        "skips it), or strip it: `objcopy --remove-section .BTF`, before signing.",
    ),
    "builtin-clash": Rule(
        "Something built into the kernel has /sys/module/NAME already: EINVAL, `NAME: module is already loaded`.",
        "Since 2.6.24. What is built in has that folder if it has parameters or a version; in new kernels also if"
        " it registers a driver.",
        "modules.builtin and modules.builtin.modinfo of the kernel (--modules-dir).",
        "The driver is there already; to replace it, build the kernel with it as a module.",
    ),
    "common-symbol": Rule(
        "The module has a COMMON symbol: ENOEXEC, `please compile with -fno-common`.",
        "Always; names of __gnu_lto are passed over since 3.14.",
        "Nothing of the kernel.",
        "Compile with -fno-common, as kbuild does.",
    ),
    "compression": Rule(
        "The file is compressed in a way that the kernel's own decoder does not know: xz with another check than "
        "CRC32 (`xz` alone writes CRC64), gzip with more than a name in its header. EINVAL, if it is handed to the "
        "kernel: kmod decompresses what is not in the kernel's own compression, and before its version 31 everything.",
        "Since 5.17.",
        "CONFIG_MODULE_DECOMPRESS, CONFIG_MODULE_COMPRESS_….",
        "Compress again as kbuild does (`xz --check=crc32`, `gzip -n`), or not at all.",
    ),
    "dependency": Rule(
        "A module that must be loaded first is itself refused: modprobe stops there, with that one's errno. A module "
        "of a softdep line is tried first as well, but its failure does not matter; weakdep lines are for programs "
        "that make an initramfs, modprobe does not read them.",
        "modprobe's rule, of every version.",
        "The modules given in the same call, and those of --modules-dir or, without it, of the kernel's tables; "
        "modules.dep there for the order; modprobe.d where it lies in a root file system.",
        "Mend the module that is named first.",
    ),
    "depmod": Rule(
        "modprobe on the board would not find this very file: it lies in another release's folder, depmod prefers "
        "another of the same name, or modules.dep is older. Only a warning: the kernel is not asked.",
        "depmod's rule, of every version: folders of depmod.d's search line in their order, else `updates` before "
        "all others.",
        "The file's path; --modules-dir and the depmod.d of the root file system that it lies in.",
        "Install with `make modules_install`, into `updates`, and run `depmod RELEASE`.",
    ),
    "duplicate-export": Rule(
        "The module exports a symbol that the kernel or a loaded module exports already: ENOEXEC.",
        "Since 2.6.",
        "The kernel's Module.symvers; which modules are loaded.",
        "The same code is built in, or another module has it: load one of the two, or rename the symbol.",
    ),
    "elf-format": Rule(
        "The file is no relocatable ELF object as the kernel wants it: ENOEXEC (an empty file: EINVAL).",
        "Always; the checks and their lines changed in 4.19, 5.11, 5.13, 5.16, 6.4, 6.13 and 7.0 (each with "
        "backports).",
        "The version of the kernel, and whether it cuts a signature off first (CONFIG_MODULE_SIG).",
        "Copy the file again and compare checksums; do not run `strip` without --strip-debug over it.",
    ),
    "export-versions": Rule(
        "The module exports symbols without CRCs to a kernel that compares them (or, since 7.1, without flags): "
        "ENOEXEC without a line, or tainted.",
        "Since 2.6; refused since 2.6.26 unless CONFIG_MODULE_FORCE_LOAD is on; flags since 7.1.",
        "CONFIG_MODVERSIONS, CONFIG_MODULE_FORCE_LOAD.",
        "Build it in a tree with the kernel's own .config.",
    ),
    "gpl-only-symbol": Rule(
        "A symbol is exported to GPL-compatible modules only, and this module's licence is another: it does not "
        "exist for it. ENOENT, `Unknown symbol S (err -2)`.",
        "Since 2.6.",
        "EXPORT_SYMBOL_GPL in the kernel's Module.symvers.",
        'The kernel knows, to the letter: "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual '
        'MIT/GPL", "Dual MPL/GPL". "GPLv2" and "MIT" are none of them.',
    ),
    "license": Rule(
        "Licence and other marks in modinfo that taint the kernel and write lines; none refuses.",
        "Out-of-tree 4.4, retpoline 4.15, staging 2.6.28, test modules 6.0.",
        "CONFIG_RETPOLINE or CONFIG_MITIGATION_RETPOLINE; what the kernel has printed before in this boot.",
        "Nothing needs mending, if only these are reported.",
    ),
    "livepatch": Rule(
        "The module is a live patch, and the kernel does not do that: ENOEXEC. Or a live patch that is loaded patches a"
        " module of that name, and does not fit this build of it: then the kernel refuses the module.",
        "Since 4.7.",
        "CONFIG_LIVEPATCH.",
        "Boot a kernel with CONFIG_LIVEPATCH=y.",
    ),
    "module-layout": Rule(
        "The CRC of `module_layout` (before 2.6.30 `struct_module`) that the module recorded is not the kernel's:"
        " ENOEXEC. It stands for the layout of struct module and is compared before vermagic.",
        "With CONFIG_MODVERSIONS; a missing entry is refused by kernels 2.6.26 to 4.8 and by Debian's, taken by "
        "others.",
        "CONFIG_MODVERSIONS, the kernel's Module.symvers, whose kernel it is (--vendor).",
        "Build the module in the tree of that very kernel: its source, .config and Module.symvers.",
    ),
    "module-struct": Rule(
        "struct module has another size in the module than in the kernel: ENOEXEC.",
        "Since 6.4; earlier kernels load such a module and may crash.",
        "sizeof(struct module), from a module of the kernel's own build (--modules-dir), or its type information.",
        "Build with the kernel's own .config and tools: pahole, LIVEPATCH, KPROBES and tracing change the structure.",
    ),
    "module-support": Rule(
        "The kernel loads no modules at all: built without CONFIG_MODULES (ENOSYS), or forbidden by `nomodule` "
        "(EPERM).",
        "Since 2.6; `nomodule` since 2.6.31.",
        "CONFIG_MODULES, the command line.",
        "Build the driver into the kernel, or turn CONFIG_MODULES on.",
    ),
    "namespace": Rule(
        "A symbol is exported in a namespace that the module does not import: EINVAL. Importing a `module:` "
        "namespace by name: EPERM (6.16 and later).",
        "Since 5.4; exports to named modules only since 6.16.",
        "CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS lets it pass with the line.",
        'MODULE_IMPORT_NS("NAME"); in the source (before 6.13 without the quotes). A `module:` namespace is for '
        "the modules that it lists, and no others.",
    ),
    "parameter": Rule(
        "A value is not one that the parameter takes: EINVAL or ERANGE. A name that no parameter has: ignored "
        "with a line since 3.11, before that ENOENT.",
        "Always.",
        "Nothing of the kernel: the module declares its parameters (`modinfo -p`).",
        "Correct it on the command line or in modprobe.d.",
    ),
    "proprietary-taint": Rule(
        "The module uses symbols of a proprietary one, and is taken for proprietary from then on: GPL-only "
        "symbols do not exist for it. ENOENT, if it uses any.",
        "Since 5.9, and in 4.19.y and 5.4.y.",
        "The licences of the modules that it needs.",
        "Take the common part into a GPL-compatible module.",
    ),
    "protected-symbol": Rule(
        "A symbol that only modules signed with the kernel's own key may use or export: EACCES.",
        "Android's kernels (GKI) alone.",
        "CONFIG_MODULE_SIG_PROTECT, and the lists of symbols in the kernel's source.",
        "Use what the kernel's ABI list allows to vendor modules.",
    ),
    "relocation": Rule(
        "A relocation of a type that the architecture's loader does not know, or whose place is written already: "
        "ENOEXEC (EINVAL on riscv, mips and loongarch).",
        "Always; places that are not zero on x86-64 since 4.3.",
        "The architecture and the version: new binutils write types that old kernels lack (R_X86_64_PLT32 before "
        "4.16).",
        "Build with the kernel's own flags (kbuild) and a toolchain of its time; do not relocate or prelink a module.",
    ),
    "signature": Rule(
        "Signed by nobody or by a key that the kernel does not know: taken, with a line and a taint, unless the "
        "kernel insists: EKEYREJECTED (before 5.4 ENOKEY); EPERM under lockdown. Changed after it was signed: "
        "EKEYREJECTED, without a line.",
        "Since 3.7, in this form since 4.3.",
        "CONFIG_MODULE_SIG, CONFIG_MODULE_SIG_FORCE, module.sig_enforce on the command line, lockdown; the "
        "certificates in the image (--kernel) and those enrolled (--trusted-cert).",
        "Sign it with a key that the kernel knows (scripts/sign-file), and enrol that key (mokutil); strip before"
        " signing, compress after.",
    ),
    "symbol-version": Rule(
        "A symbol's CRC in the module is not the kernel's: EINVAL, `disagrees about version of symbol S`.",
        "With CONFIG_MODVERSIONS. Until 2.6.35 the errno is ENOENT. A missing entry: taken until 2.6.25, refused "
        "until 4.8 and by Debian's kernels, taken by others.",
        "CONFIG_MODVERSIONS, the exporter's Module.symvers, whose kernel it is (--vendor).",
        "Build against the Module.symvers of the kernel that runs there, and of the modules that it needs "
        "(KBUILD_EXTRA_SYMBOLS).",
    ),
    "sysfs": Rule(
        "Two loaded sections have one name, and cannot both have a file below /sys/module: EEXIST.",
        "In 7.3; up to 6.12 the kernel complains and goes on.",
        "CONFIG_KALLSYMS.",
        "Link the module with the kernel's kbuild.",
    ),
    "unknown-symbol": Rule(
        "The module needs a symbol that neither the kernel nor a loaded module exports: ENOENT, `Unknown symbol S"
        " (err -2)`.",
        "Since 2.6; the number in the line is 0 in 2.6.36 to 4.16.",
        "The kernel's Module.symvers; which modules are loaded. Kernels that trim unused exports lack more than "
        "their source (CONFIG_TRIM_UNUSED_KSYMS).",
        "Load the module that exports it first (modprobe does), or turn on the option that builds it.",
    ),
    "vermagic": Rule(
        "The module's vermagic is not the kernel's: ENOEXEC. With CRCs on both sides the release, its first word,"
        " is not compared.",
        "Always; the words changed with the versions. A missing one is refused without a line unless "
        "CONFIG_MODULE_FORCE_LOAD is on.",
        "The release (`uname -r`), and the options behind the words: CONFIG_SMP, CONFIG_PREEMPT_BUILD, "
        "CONFIG_MODULE_UNLOAD, CONFIG_MODVERSIONS, and the architecture's own.",
        "Build in a tree whose .config, version and LOCALVERSION are the kernel's.",
    ),
    "wx-section": Rule(
        "A section is both writable and executable: ENOEXEC.",
        "Since 5.8, with a line since 5.11.",
        "CONFIG_STRICT_MODULE_RWX.",
        "Part code and data in the assembler source: give the section `ax` or `aw`, not `awx`.",
    ),
}
