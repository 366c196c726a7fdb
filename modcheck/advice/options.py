"""One `.config` against another: which of the options that differ matter to modules, and for what.

What an option does to vermagic is in target/vermagic.py, to loading in loader/stages/; which structures it changes
is in target/options.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from ..target.kconfig import Config
from ..target.options import structures
from ..target.vermagic import vermagic_options

Touches = Literal["vermagic", "loading", "layout"]

_LOADING = re.compile(
    r"MODULES|MODULE_\w+|MODVERSIONS|\w+_MODVERSIONS|GENKSYMS|GENDWARFKSYMS|TRIM_UNUSED_KSYMS|UNUSED_KSYMS_WHITELIST"
    r"|STRICT_MODULE_RWX|DEBUG_INFO_BTF_MODULES|DEBUG_INFO_BTF|LIVEPATCH|SECURITY_LOCKDOWN_LSM\w*|LOCK_DOWN_KERNEL_FORCE_\w+"
    r"|SYSTEM_\w*(?:KEYRING|KEYS|LIST)\w*|RETPOLINE|MITIGATION_RETPOLINE|CFI_CLANG|CFI|X86_KERNEL_IBT|ARM(?:64)?_MODULE_PLTS"
    r"|CONSTRUCTORS|CMDLINE\w*|INTEGRITY_PLATFORM_KEYRING|IMA_APPRAISE_MODSIG"
)


_EVERYWHERE = ("module", "device", "task_struct", "page", "inode", "file", "sk_buff", "net_device", "mm_struct", "sock")


class OptionChange(NamedTuple):
    """An option that differs; a value is `n` where it is off, strings are without their quotes."""

    option: str
    old: str
    new: str
    touches: tuple[Touches, ...]
    structures: tuple[str, ...]
    """those that it changes, the most used first"""

    def __str__(self) -> str:
        structures = f" ({', '.join(self.structures[:2])})" if "layout" in self.touches else ""
        return f"{self.option}{structures}: {self.old or '(empty)'} -> {self.new or '(empty)'}"


class OptionChanges(NamedTuple):
    """All options that differ."""

    mattering: tuple[OptionChange, ...]
    """that touch something, those of vermagic first"""
    others: tuple[OptionChange, ...]

    def of(self, what: Touches) -> list[OptionChange]:
        """Those that touch it, and nothing that goes before it."""
        return [one for one in self.mattering if one.touches[0] == what]

    def lines(self, old: str, new: str) -> tuple[str, ...]:
        """In words, one line for each thing that is touched; `old` and `new`: the files."""
        if not (self.mattering or self.others):
            return (f"{old} and {new} have the same options",)
        count = len(self.mattering) + len(self.others)
        differ = "1 option differs" if count == 1 else f"{count} options differ"
        few = f" ({', '.join(one.option for one in self.others)})" if 0 < len(self.others) < 5 else ""
        idle = f"{len(self.others)}{few} without effect on vermagic, loading or the layout of common structures"
        lines = [f"{differ} between {old} and {new}, {idle}"]
        for what in ("vermagic", "loading", "layout"):
            found = self.of(what)
            shown = "; ".join(map(str, found[:4])) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")
            lines += [f"options of {what}: {shown}"] if found else []
        return tuple(lines)


def compare(old: Config, new: Config) -> OptionChanges:
    """The options that differ between two configurations, told apart by what they matter to."""
    before, after = old.options, new.options
    vermagic = vermagic_options(old.arch if old.arch == new.arch else None)
    mattering: list[OptionChange] = []
    others: list[OptionChange] = []
    for option in sorted(before.keys() | after.keys()):
        values = before.get(option, "n"), after.get(option, "n")
        if values[0] != values[1]:
            change = OptionChange(option, *values, tuple(_touches(option, vermagic)), structures(option))
            (mattering if change.touches else others).append(change)
    mattering.sort(key=lambda one: (("vermagic", "loading", "layout").index(one.touches[0]), _rank(one.structures)))
    return OptionChanges(tuple(mattering), tuple(others))


def _touches(option: str, vermagic: frozenset[str]) -> Iterator[Touches]:
    if option in vermagic:
        yield "vermagic"
    if _LOADING.fullmatch(option):
        yield "loading"
    if structures(option):
        yield "layout"


def _rank(found: tuple[str, ...]) -> int:
    """What every driver uses comes first."""
    return next((place for place, name in enumerate(_EVERYWHERE) if name in found), len(_EVERYWHERE))
