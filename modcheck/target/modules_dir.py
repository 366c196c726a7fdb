"""`/lib/modules/RELEASE`: which file modprobe takes for a name, and in which order it loads what a module needs.

Made by `make modules_install` and depmod; what depmod writes is described in modules.dep(5). A package has no
modules.dep before it is installed: then depmod's own rules tell which file it would take.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cached_property

from ..errors import UnreadableError
from ..module import Export, Module, read_module
from .kmod import Depmod, Modprobe, read_lines
from .symvers import owner_name


class ModulesDir:
    """The modules directory `path` of a kernel whose modules are the files `paths` below it.

    :ivar release: its name: what `uname -r` prints where it is used
    :ivar modprobe: how the board's modprobe is configured
    """

    def __init__(self, path: str, paths: Iterable[str]) -> None:
        self.path = path
        self.release = os.path.basename(os.path.abspath(path))
        root = _root(path)
        self.modprobe = Modprobe(root, os.path.join(path, "modules.softdep"))
        self._depmod = Depmod(root, self.release)
        self._files: dict[str, list[str]] = {}
        for relative in sorted(os.path.relpath(one, path) for one in paths):
            if not self._depmod.excludes.intersection(relative.split("/")[:-1]):
                self._files.setdefault(_name(relative), []).append(relative)
        self._read: dict[str, Module | None] = {}

    @cached_property
    def _dependencies(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """modules.dep: name, its file, and the names of those that modprobe loads first, in its order."""
        found = {}
        for words in read_lines(os.path.join(self.path, "modules.dep")):
            file = words[0].removesuffix(":")
            found[_name(file)] = (file, tuple(_name(word) for word in reversed(words[1:])))
        return found

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def files(self, name: str) -> Sequence[str]:
        """All files for a name, relative to the directory."""
        return self._files.get(name, ())

    def picked(self, name: str) -> tuple[str, ...]:
        """The file, relative to the directory, that modprobe loads for a name.

        Empty where there is none; more than one where nothing tells which.
        """
        listed = self._dependencies.get(name)
        if listed and listed[0] in self.files(name):
            return (listed[0],)
        return self._depmod.pick(self.files(name)) if name in self._files else ()

    def lists(self, relative: str) -> bool | None:
        """Whether modules.dep has that file; None where there is no modules.dep."""
        if not self._dependencies:
            return None
        listed = self._dependencies.get(_name(relative))
        return listed is not None and listed[0] == relative

    def order(self, name: str) -> tuple[str, ...] | None:
        """What modprobe loads before a module, first to last; None where no modules.dep tells."""
        listed = self._dependencies.get(name)
        return listed[1] if listed else None

    def gone(self, name: str) -> tuple[str, ...]:
        """Those of a module's line in modules.dep that are not there; modprobe then loads nothing before it."""
        return tuple(other for other in self.order(name) or () if other not in self._files)

    def module(self, name: str) -> Module | None:
        """The module that modprobe loads for a name, read once; None where that is not known or not readable."""
        if name not in self._read:
            self._read[name] = self._module(self.picked(name))
        return self._read[name]

    def _module(self, picked: Sequence[str]) -> Module | None:
        try:
            return read_module(os.path.join(self.path, picked[0])) if len(picked) == 1 else None
        except UnreadableError:
            return None

    @cached_property
    def outside(self) -> dict[str, list[Export]]:
        """The exports, by symbol, of modules that did not come with the kernel: those in other folders than `kernel`.

        No table of the kernel's has them, and depmod finds them all the same.
        """
        found: dict[str, list[Export]] = {}
        for name in self._files:
            if any(not path.startswith("kernel/") for path in self.picked(name)) and (module := self.module(name)):
                for export in module.exports:
                    found.setdefault(export.name, []).append(export)
        return found

    def softdeps(self, name: str) -> tuple[str, ...]:
        """The modules that modprobe tries to load before a module, though it does not need them."""
        return tuple(found for wanted in self.modprobe.softdeps(name).pre for found in self._lookup(wanted))

    def _lookup(self, wanted: str) -> Sequence[str]:
        """The modules of a name, or of an alias."""
        if wanted in self._files:
            return (wanted,)
        lines = (words for words in self._aliases if len(words) == 3 and words[0] == "alias")
        return tuple(owner_name(words[2]) for words in lines if fnmatchcase(wanted, words[1].replace("-", "_")))

    @cached_property
    def _aliases(self) -> list[list[str]]:
        return list(read_lines(os.path.join(self.path, "modules.alias")))

    def relative(self, path: str) -> str | None:
        """A file's path within the directory; None for one that lies elsewhere."""
        found = os.path.relpath(os.path.realpath(path), os.path.realpath(self.path))
        return None if found.startswith("..") else found


def _root(path: str) -> str | None:
    """The root of the file system that a directory `…/lib/modules/RELEASE` lies in."""
    match = re.fullmatch(r"(.*?)/(?:usr/)?lib/modules/[^/]+", os.path.abspath(path))
    return (match[1] or "/") if match else None


def _name(file: str) -> str:
    """The name of the module in a file, as modprobe knows it."""
    return owner_name(os.path.basename(file).partition(".ko")[0])
