"""Whose types are where: a module's debug information, a kernel's BTF or vmlinux."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from io import BytesIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ..btf import Btf
from ..errors import ModcheckError
from ..files import open_binary, read_plain
from ..module.facts import Module
from ..target.btf import read_btf
from ..target.facts import Target
from ..target.tree import Tree
from .btf import btf_types
from .dwarf import dwarf_types
from .graph import Types


def module_types(module: Module, tree: str | None) -> Types | None:
    """The types that a module was compiled with: by its debug information, or by its tree's BTF, which its own
    continues. None where neither is there.

    :param tree: the build directory it was built in
    """
    try:
        elf = ELFFile(BytesIO(read_plain(module.path)))
    except (ModcheckError, ELFError):
        return None
    if found := dwarf_types(elf):
        return found
    order, trees = module.elf.endianness, _tree_btf(tree)
    parts = [Btf(data, order) for data in (module.btf, module.btf_base) if data is not None]
    if not all(part.whole for part in parts):
        return None
    if module.btf is None or (trees and module.btf_base is not None):  # .BTF.base has structures without their members
        return btf_types(trees) if trees else None
    base = Btf(module.btf_base, order) if module.btf_base is not None else trees
    return btf_types(Btf(module.btf, order), base) if base else None


def kernel_types(target: Target, symbols: Collection[str]) -> Types | None:
    """The types of a kernel: its BTF's, else those that its vmlinux has of the source files that define `symbols`."""
    if target.known_btf:
        return _of_btf(target.known_btf)
    path = Tree(target.tree).vmlinux() if target.tree else target.sources.get("kernel")
    if path is None:
        return None
    try:
        with open_binary(path) as file:
            return dwarf_types(ELFFile(file), symbols)
    except (ModcheckError, ELFError, OSError):
        return None


@lru_cache(maxsize=2)
def _of_btf(btf: Btf) -> Types:
    return btf_types(btf)


@lru_cache(maxsize=1)
def _tree_btf(tree: str | None) -> Btf | None:
    path = Tree(tree).vmlinux() if tree else None
    try:
        found = read_btf(path) if path else None
    except ModcheckError:
        return None
    return found if found and found.whole else None
