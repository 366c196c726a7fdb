"""The target's vermagic, computed from release, version, `.config` and architecture.

Source: `include/linux/vermagic.h` and each architecture's `asm/vermagic.h` (`asm/module.h` until 5.7), 2.6.11 to 7.3.
The string is a sequence of tokens, each with its own trailing blank: it usually ends in one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..version import Version
from .kconfig import Config

# i386: the processor family's option and its word; {option: word} in the order of the header
_X86_FAMILIES = {
    "M386": "386", "M486SX": "486SX", "M486": "486", "M586": "586", "M586TSC": "586TSC", "M586MMX": "586MMX",
    "MCORE2": "CORE2", "MATOM": "ATOM", "M686": "686", "MPENTIUMII": "PENTIUMII", "MPENTIUMIII": "PENTIUMIII",
    "MPENTIUMM": "PENTIUMM", "MPENTIUM4": "PENTIUM4", "MK6": "K6", "MK7": "K7", "MK8": "K8", "X86_ELAN": "ELAN",
    "MELAN": "ELAN", "MCRUSOE": "CRUSOE", "MEFFICEON": "EFFICEON", "MWINCHIPC6": "WINCHIPC6", "MWINCHIP2": "WINCHIP2",
    "MWINCHIP3D": "WINCHIP3D", "MCYRIXIII": "CYRIXIII", "MVIAC3_2": "VIAC3-2", "MVIAC7": "VIAC7",
    "MGEODEGX1": "GEODEGX1", "MGEODE_LX": "GEODE",
}  # fmt: skip

# mips: the first CONFIG_CPU_ option that is on; its word is the option's name unless given
_MIPS_FAMILIES = (
    "BMIPS", "MIPS32_R1", "MIPS32_R2", "MIPS32_R5", "MIPS32_R6", "MIPS64_R1", "MIPS64_R2", "MIPS64_R5", "MIPS64_R6",
    "R3000", "TX39XX", "VR41XX", "R4300", "R4X00", "TX49XX", "R5000", "R5432", "R5500", "R6000", "NEVADA", "R8000",
    "R10000", "RM7000", "RM9000", "SB1", "LOONGSON1", "LOONGSON2", "LOONGSON3", "LOONGSON32", "LOONGSON2EF",
    "LOONGSON64", "CAVIUM_OCTEON", "P5600", "XLR", "XLP",
)  # fmt: skip
_MIPS_WORDS = {"CAVIUM_OCTEON": "OCTEON"}

# arm: options in the order in which the Makefile assigns __LINUX_ARM_ARCH__; the last that is on wins. CPU_32v6K counts
# only beside CPU_32v6, which says the same: ARMv7 selects it, too
_ARM_CPUS = (
    ("CPU_32v7M", 7), ("CPU_32v7", 7), ("CPU_32v6", 6), ("CPU_32v5", 5), ("CPU_32v4T", 4), ("CPU_32v4", 4),
    ("CPU_32v3", 3),
)  # fmt: skip

_SH_FAMILIES = (("CPU_SH5", "SH5"), ("CPU_SH4", "SH4"), ("CPU_SH3", "SH3"), ("CPU_SH2", "SH2"))


def compose(
    release: str, version: Version, config: Config, arch: str, randstruct_seed: str | None = None
) -> str | None:
    """The vermagic that a kernel of this release, version, configuration and architecture is built with.

    :param randstruct_seed: the 64 hexadecimal digits of the build's hashed seed, when CONFIG_RANDSTRUCT is on
    :returns: None where these facts do not tell: a seed that is not given, an architecture or CPU that is not known,
        a compiler version that was part of the string (before 2.6.20)
    """
    words = _BY_ARCH[arch](version, config) if arch in _BY_ARCH else ""
    if words is None or not version.since(2, 6, 20):
        return None  # until 2.6.19 it ended in gcc-MAJOR.MINOR of a compiler that .config did not name
    tokens = [release + " "]
    tokens += ["SMP "] if config.on("SMP") else []
    tokens += _preempt(version, config)
    if config.on("MODULE_UNLOAD"):
        tokens.append("mod_unload ")
    if version.since(2, 6, 26) and config.on("MODVERSIONS"):
        tokens.append("modversions ")
    tokens.append(words)
    if version.since(4, 13) and randstruct(config):
        if randstruct_seed is None:
            return None
        tokens.append(("RANDSTRUCT_" if version.since(5, 19) else "RANDSTRUCT_PLUGIN_") + randstruct_seed)
    return "".join(tokens)


#: the options behind words of vermagic that are neither a processor's nor a seed's
_OPTIONS = {
    "SMP": "SMP", "preempt": "PREEMPT_BUILD", "preempt_rt": "PREEMPT_RT", "mod_unload": "MODULE_UNLOAD",
    "modversions": "MODVERSIONS", "thumb2": "THUMB2_KERNEL", "p2v8": "ARM_PATCH_PHYS_VIRT",
    "p2v16": "ARM_PATCH_PHYS_VIRT_16BIT", "mprofile-kernel": "MPROFILE_KERNEL", "relocatable": "RELOCATABLE",
    "patchable-function-entry": "ARCH_USING_PATCHABLE_FUNCTION_ENTRY", "64BIT": "64BIT", "32BIT": "32BIT",
    "4KSTACKS": "4KSTACKS", "MT_SMTC": "MIPS_MT_SMTC",
}  # fmt: skip


def option_of(word: str, version: Version | None) -> tuple[str | None, bool]:
    """The option that puts a word into vermagic, without CONFIG_, and whether the word tells the processor.

    :param version: the kernel's; None: the newest known
    """
    if word == "preempt" and version is not None and not version.since(5, 16):
        return "PREEMPT", False
    if word in ("64BIT", "32BIT", "thumb2", "p2v8", "p2v16") or word not in _OPTIONS:
        return _processor_option(word), True
    return _OPTIONS[word], False


def vermagic_options(arch: str | None) -> frozenset[str]:
    """The options that take part in the vermagic of an architecture's kernels, without CONFIG_; None: of any."""
    found = {"LOCALVERSION", "SMP", "PREEMPT", "PREEMPT_BUILD", "PREEMPT_RT", "MODULE_UNLOAD", "MODVERSIONS",
             "RANDSTRUCT", "GCC_PLUGIN_RANDSTRUCT"}  # fmt: skip
    own: dict[str, set[str]] = {
        "i386": {*_X86_FAMILIES, "4KSTACKS"},
        "arm": {*(option for option, _ in _ARM_CPUS), "THUMB2_KERNEL", "ARM_PATCH_PHYS_VIRT",
                "ARM_PATCH_PHYS_VIRT_16BIT"},
        "mips": {*(f"CPU_{name}" for name in _MIPS_FAMILIES), "64BIT", "MIPS_MT_SMTC"},
        "ppc": {"MPROFILE_KERNEL", "RELOCATABLE", "ARCH_USING_PATCHABLE_FUNCTION_ENTRY"},
        "sh": {*(option for option, _ in _SH_FAMILIES), "CPU_LITTLE_ENDIAN"},
    }  # fmt: skip
    families = {"mips64": "mips", "ppc64": "ppc"}
    for name in own if arch is None else (families.get(arch, arch),):
        found |= own.get(name, set())
    return frozenset(found)


def _processor_option(word: str) -> str | None:
    if word.startswith("ARMv"):
        return next((option for option, number in reversed(_ARM_CPUS) if word == f"ARMv{number}"), None)
    names = {_MIPS_WORDS.get(name, name): f"CPU_{name}" for name in _MIPS_FAMILIES}
    families = {name: option for option, name in _X86_FAMILIES.items()}
    return _OPTIONS.get(word) or families.get(word) or names.get(word)


#: words that end a vermagic without a blank
_LAST_WORDS = r"(?:aarch64|riscv|ARC700|NDS32v3|AVR32v1|gcc-[\d.]+|RANDSTRUCT_\w+)$"


def with_blank(vermagic: str) -> str:
    """`vermagic` as the kernel has it: copied from a terminal it often lacks the blank that ends its last token."""
    vermagic = vermagic.rstrip()
    return vermagic if re.search(_LAST_WORDS, vermagic) else vermagic + " "


def randstruct(config: Config) -> bool:
    """Whether structures are laid out by a random seed, which is then part of vermagic."""
    return config.on("RANDSTRUCT") or config.on("GCC_PLUGIN_RANDSTRUCT")


def _preempt(version: Version, config: Config) -> list[str]:
    build, full = ["preempt "], ["preempt_rt "]
    if not version.since(5, 4):
        return build if config.on("PREEMPT") else []
    if not version.since(5, 16):
        return build if config.on("PREEMPT") else full if config.on("PREEMPT_RT") else []
    if not version.since(6, 13):
        return build if config.on("PREEMPT_BUILD") else full if config.on("PREEMPT_RT") else []
    return full if config.on("PREEMPT_RT") else build if config.on("PREEMPT_BUILD") else []


def _i386(version: Version, config: Config) -> str | None:
    family = next((word for option, word in _X86_FAMILIES.items() if config.on(option)), None)
    if family is None:
        return None
    words = family + " "
    if not version.since(2, 6, 37) and config.on("4KSTACKS"):
        words += "4KSTACKS "
    return words


def _arm(version: Version, config: Config) -> str | None:
    number = None
    for option, value in _ARM_CPUS:
        if config.on(option):
            number = value
    if number is None:
        return None
    words = f"ARMv{number} "
    if version.since(2, 6, 39):
        words += "thumb2 " if config.on("THUMB2_KERNEL") else ""
        if config.on("ARM_PATCH_PHYS_VIRT"):
            words += "p2v16 " if config.on("ARM_PATCH_PHYS_VIRT_16BIT") else "p2v8 "
    return words


def _mips(version: Version, config: Config) -> str | None:
    family = next((name for name in _MIPS_FAMILIES if config.on("CPU_" + name)), None)
    if family is None:
        return None
    words = _MIPS_WORDS.get(family, family) + " " + ("64BIT " if config.on("64BIT") else "32BIT ")
    return words + ("MT_SMTC " if config.on("MIPS_MT_SMTC") else "")


def _powerpc(version: Version, config: Config) -> str:
    if not version.since(4, 13):
        return ""
    words = ""
    if version.since(6, 5) and config.on("ARCH_USING_PATCHABLE_FUNCTION_ENTRY"):
        words = "patchable-function-entry "
    elif config.on("MPROFILE_KERNEL"):
        words = "mprofile-kernel "
    return words + ("relocatable " if config.on("RELOCATABLE") else "")


def _sh(version: Version, config: Config) -> str | None:
    family = next((word for option, word in _SH_FAMILIES if config.on(option)), None)
    return None if family is None else family + ("LE " if config.endianness == "little" else "BE ")


def _not_in_config(version: Version, config: Config) -> None:
    """xtensa's core id and the like: generated from files of the build, not from options."""


#: MODULE_ARCH_VERMAGIC; architectures that are not here have none
_BY_ARCH: dict[str, Callable[[Version, Config], str | None]] = {
    "i386": _i386,
    "arm": _arm,
    "arm64": lambda version, config: "aarch64",
    "riscv64": lambda version, config: "riscv",
    "riscv32": lambda version, config: "riscv",
    "loongarch64": lambda version, config: "LOONGARCH 64BIT ",
    "loongarch32": lambda version, config: "LOONGARCH 32BIT ",
    "mips": _mips,
    "mips64": _mips,
    "ppc64": _powerpc,
    "ppc": _powerpc,
    "sh": _sh,
    "arc": lambda version, config: "ARC700",
    "hexagon": lambda version, config: "PROCESSOR_MODEL_NAME ",
    "xtensa": _not_in_config,
    "ia64": _not_in_config,
}
