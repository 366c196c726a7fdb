"""The C types of a build, from BTF, DWARF or genksyms' .symtypes, and where those of two builds differ.

Which types make up a symbol's CRC is genksyms' doing (scripts/genksyms of the kernel, gendwarfksyms since 6.14): all
that its declaration reaches, member by member.
"""

from __future__ import annotations

from .compare import differences
from .graph import Part, Types

__all__ = ["Part", "Types", "differences"]
