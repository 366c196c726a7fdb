"""Which options make two builds of a kernel: those that change its structures, its symbols, or vermagic.

`layout.tsv` was read from the kernel's headers by tools/layout_options.py; what an option does to vermagic is in
vermagic.py. All others may differ between two descriptions of one build: whoever prepares a tree sets compiler, keys
and salts anew (the `.config` of Debian's headers has other keys than that of its image).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .kconfig import Config
from .made_symbols import SYMBOL_OPTIONS
from .vermagic import vermagic_options

#: what decides how CRCs are made, and which symbols are exported at all (init/Kconfig, kernel/module/Kconfig, 7.3)
_EXPORTS = (
    r"MODVERSIONS|ASM_MODVERSIONS|MODULE_REL_CRCS|GENKSYMS|GENDWARFKSYMS|TRIM_UNUSED_KSYMS|UNUSED_KSYMS_WHITELIST"
)
#: a part of the release, which is compared by itself
_RELEASE = "LOCALVERSION"


class Differing(NamedTuple):
    """An option that differs between two configurations; a value is `n` where it is off."""

    option: str
    one: str
    other: str


def identifying(one: Config, other: Config) -> list[Differing]:
    """The options that differ, of those by which two configurations are of two builds; sorted by name."""
    if one.text == other.text:
        return []
    ours, theirs = one.options, other.options
    differing = [name for name, value in ours.items() ^ theirs.items()]
    if not differing:
        return []
    of_vermagic = vermagic_options(one.arch if one.arch == other.arch else None) - {_RELEASE}
    return [
        Differing(name, ours.get(name, "n"), theirs.get(name, "n"))
        for name in sorted({*differing})
        if name in of_vermagic or name in SYMBOL_OPTIONS or name in _layout() or re.fullmatch(_EXPORTS, name)
    ]


@cache
def _layout() -> dict[str, tuple[str, ...]]:
    """The structures that an option changes, by option."""
    text = (Path(__file__).parent / "layout.tsv").read_text()
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {row[0]: tuple(row[1].split()) for row in rows}


def structures(option: str) -> tuple[str, ...]:
    """The structures whose layout depends on `CONFIG_option`, the most used first; at most six."""
    return _layout().get(option, ())


def changing(structure: str) -> list[str]:
    """The options that the layout of `struct structure` depends on."""
    return [option for option, found in _layout().items() if structure in found]
