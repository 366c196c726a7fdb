"""What a module was built with, as far as the machine that it lies on tells: its tree, the tables that it took CRCs
from, its compiler. Evidence for advice/, and nothing that a prediction rests on.

Sources: kbuild's `scripts/Makefile.modpost` (which tables it reads), DWARF 5 (DW_AT_comp_dir).
"""

from __future__ import annotations

import os
import re
from functools import cache
from io import BytesIO
from typing import NamedTuple

from ..errors import ModcheckError
from ..files import SIGNATURE_MARKER, is_file, read_plain
from .kconfig import Config
from .kinds import read_config, read_symvers
from .symvers import Symvers
from .tree import Tree, is_tree
from .vermagic import compose

#: what compilers sign with, and the whole of it
_COMPILERS = (
    (b"GCC: (", rb"GCC: \([ -~]{3,120}(?=\0)"),
    (b"clang version ", rb"[\w .-]*clang version [ -~]{3,120}(?=\0)"),
)
#: debug information larger than this is not looked into for the folder alone
_MOST_DEBUG = 8 << 20


class Table(NamedTuple):
    """A Module.symvers on the disk."""

    symvers: Symvers
    time: float
    """when it was last written, in seconds since 1970"""

    @property
    def path(self) -> str:
        return self.symvers.path


class BuildTree(NamedTuple):
    """A kernel's build or headers directory, as one in which modules are built."""

    path: str
    release: str | None
    release_file: str
    config: Config | None
    extraversion: str
    """EXTRAVERSION of its Makefile, empty where it has none"""
    table: Table | None
    stale: tuple[str, float] | None
    """what was written after its Module.symvers, and when"""
    git: bool
    """whether its source is a git checkout"""
    source: str
    """where its source is, which is elsewhere where it was made with O="""
    buildable: bool
    """whether there is a Makefile, so that modules can be built in it"""


class Built(NamedTuple):
    """What is known of how one module was built; what is not there is None."""

    tree: BuildTree | None
    """the tree that it was built in"""
    kernels: BuildTree | None
    """the tree that describes the kernel"""
    folder: str | None
    """where the module was built, if it lies there still"""
    beside: Table | None
    """the Module.symvers in its folder, if that has symbols of other modules"""
    compiler: str | None
    """as the compiler wrote it into `.comment`"""
    behind_signature: int | None
    """bytes behind the end of a signature, which is then none"""


NOTHING = Built(None, None, None, None, None, None)


def read_built(path: str, vermagic: str | None, tree: str | None, *, kernels: bool = True) -> Built:
    """What is known of how the module at `path` was built.

    :param vermagic: the module's
    :param tree: the tree given: where it makes modules with that vermagic, the module's as well
    :param kernels: whether it describes the target
    """
    try:
        data = read_plain(path)
    except ModcheckError:
        return NOTHING
    return Built(
        tree=_tree(path, data, vermagic, tree),
        kernels=read_build_tree(tree) if tree and kernels else None,
        folder=_folder(path),
        beside=_beside(path),
        compiler=_compiler(data),
        behind_signature=_behind_signature(data),
    )


def _tree(path: str, data: bytes, vermagic: str | None, known: str | None) -> BuildTree | None:
    """The tree of the target if it makes the module's vermagic; else the one that kbuild's files beside the module, or
    its debug information, name."""
    if known is not None and vermagic and _makes(tree := read_build_tree(known), vermagic):
        return tree
    named = next(filter(is_tree, (*_include_folders(path), *filter(None, (_comp_dir(data),)))), None)
    return read_build_tree(named) if named else None


def _include_folders(path: str) -> list[str]:
    """The folders whose `include` the compiler looked into, by what kbuild left beside the module: since 6.13, which
    runs it in the module's folder, with the tree's whole path (top Makefile: objtree); before, relative to the tree."""
    folder, name = os.path.split(path)
    left = os.path.join(folder, f".{name.partition('.ko')[0]}.mod.o.cmd")
    try:
        line = read_plain(left).partition(b"\n")[0].decode("utf-8", "replace")
    except ModcheckError:
        return []
    return list(dict.fromkeys(re.findall(r" -I(/\S+?)/include(?= )", line)))


def _makes(tree: BuildTree, vermagic: str) -> bool:
    """Whether modules that are built in the tree have that vermagic, as far as its files tell."""
    config = tree.config
    if tree.release != vermagic.split(" ")[0]:
        return False
    if config is None or config.version is None or config.arch is None:
        return True
    made = compose(tree.release, config.version, config, config.arch)
    return made is None or made.split() == vermagic.split()


@cache
def read_build_tree(path: str) -> BuildTree:
    """The facts of the build or headers directory `path`."""
    tree = Tree(path)
    release, release_file = tree.release() or (None, "")
    try:
        config = read_config(tree.origin(".config"))
    except ModcheckError:
        config = None
    symvers = tree.symvers()
    source = tree.origin("source") if os.path.isdir(tree.origin("source")) else path
    return BuildTree(
        path=path,
        release=release,
        release_file=release_file,
        config=config,
        extraversion=tree.extraversion() or "",
        table=_table(symvers) if symvers else None,
        stale=tree.newer_than_symvers(),
        git=os.path.exists(os.path.join(source, ".git")),
        source=source,
        buildable=is_file(tree.origin("Makefile")),
    )


def _table(path: str) -> Table | None:
    try:
        return Table(read_symvers(path), os.stat(path).st_mtime)
    except (ModcheckError, OSError):
        return None


def _folder(path: str) -> str | None:
    """The module's folder, if kbuild left its files there."""
    folder, name = os.path.split(os.path.abspath(path))
    left = (f".{name}.cmd", f"{name.removesuffix('.ko')}.mod.c", "Kbuild", "Makefile", "modules.order")
    return folder if name.endswith(".ko") and any(is_file(os.path.join(folder, one)) for one in left) else None


def _beside(path: str) -> Table | None:
    """The Module.symvers in the module's folder: older kbuild took CRCs from it, besides writing it."""
    place = os.path.join(os.path.dirname(path), "Module.symvers")
    return _table(place) if is_file(place) else None


def _compiler(data: bytes) -> str | None:
    """The first string of `.comment`: `GCC: (Debian 12.2.0-14) 12.2.0`."""
    for sign, pattern in _COMPILERS:
        at = data.find(sign)
        while at >= 0:
            if found := re.compile(pattern).match(data, data.rfind(b"\0", 0, at) + 1):
                return found[0].decode()
            at = data.find(sign, at + 1)
    return None


def _comp_dir(data: bytes) -> str | None:
    """The folder that the compiler ran in: kbuild until 6.12 runs it in the tree."""
    if b".debug_info\0" not in data:
        return None
    from elftools.elf.elffile import ELFFile  # takes as long as all the rest of a short run

    try:
        elf = ELFFile(BytesIO(data))
        section = elf.get_section_by_name(".debug_info")
        if section is None or section["sh_size"] > _MOST_DEBUG:
            return None
        unit = next(elf.get_dwarf_info().iter_CUs(), None)
        attribute = unit.get_top_DIE().attributes.get("DW_AT_comp_dir") if unit else None
        return os.fsdecode(attribute.value) if attribute and isinstance(attribute.value, bytes) else None
    except Exception:  # debug information may be damaged in any way, and decides nothing
        return None


def _behind_signature(data: bytes) -> int | None:
    """How many bytes follow the last marker of a signature; None where it is the end, or there is none."""
    at = data.rfind(SIGNATURE_MARKER)
    behind = len(data) - at - len(SIGNATURE_MARKER)
    return behind if at >= 0 and behind else None
