"""`/lib/modules/RELEASE`: which file modprobe takes for a name, and in which order it loads what a module needs.

Made by `make modules_install` and depmod; what depmod writes is described in modules.dep(5). A package has no
modules.dep before it is installed: then depmod's own rules tell which file it would take.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from ..errors import UnreadableError
from ..files import dead_link, find_modules, in_package, is_file, list_folder, read_bytes, real_path
from ..module import PARTS, Export, Module, read_module
from ..module.facts import STB_WEAK, exports_by_name
from ..version import parse_version
from .kmod import Depmod, Modprobe, Softdeps, configuration, read_lines, underscores
from .symvers import KERNEL, Symvers, owner_name, render

#: what leads from a modules directory to where its kernel was built
_TREES = ("build", "source")
#: one within it, as a wrong INSTALL_MOD_PATH makes it
_NESTED = re.compile(r"(?:usr/)?lib/modules/[^/]+/")
#: so many modules are looked at where none says that it came with the kernel
_SAMPLE = 8


def installed_modules(path: str, notes: list[str]) -> list[str]:
    """The modules below `path`, links to directories followed, but `build` and `source`; `notes` gets what is amiss."""
    found = find_modules(path, follow=True, without=_TREES)
    dead = {one: link for one in found if (link := dead_link(one))}
    notes += [f"{one} is {link}: passed over" for one, link in dead.items()]
    modules = [one for one in found if one not in dead]
    notes += _amiss(path, modules)
    return modules


def only_trees(path: str) -> str:
    """What there is in a directory that headers packages make: links to where modules are built, and no modules."""
    links = [os.path.join(path, name) for name in list_folder(path)]
    if not links or any(os.path.basename(link) not in _TREES for link in links):
        return ""
    if dead := dead_link(links[0]):
        return f"there is but {links[0]}, {dead}"
    return f"there is but {links[0]}, in which modules are built: give that to --target"


def _amiss(path: str, modules: Sequence[str]) -> Iterator[str]:
    """What is wrong with how the modules of a `/lib/modules/RELEASE` were installed, whole sentences."""
    if nested := [one for one in modules if _NESTED.match(one.removeprefix(path).lstrip(os.sep))]:
        yield (
            f"{len(nested)} modules lie in {path} below lib/modules once more ({nested[0]}): INSTALL_MOD_PATH is the "
            "root of the file system, and `make modules_install` adds lib/modules/RELEASE itself"
        )
    lists = (os.path.join(path, name) for name in ("modules.dep", "modules.dep.bin"))
    if modules and _root(path) and not in_package(path) and not any(map(is_file, lists)):
        yield f"no modules.dep in {path}: modprobe finds nothing there before depmod has run; it is taken to have run"


def agreed(paths: Sequence[str], notes: list[str]) -> Module | None:
    """A module that speaks for all, of modules that do not say that they came with the kernel: before 3.2 none does
    (`intree`, scripts/mod/modpost.c). None where the few that are looked at differ in vermagic or architecture."""
    last = len(paths) - 1
    few = dict.fromkeys(paths[last * step // (_SAMPLE - 1)] for step in range(_SAMPLE) if paths)
    read = [module for path in few if (module := _read(path, PARTS)) and module.vermagic]
    told = {(module.vermagic, module.arch, module.elf.endianness) for module in read}
    if len(told) > 1:
        words = ", ".join(sorted({repr(module.vermagic) for module in read}))
        notes.append(f"modules such as {read[0].path} tell nothing of the kernel: they differ ({words})")
    return read[0] if len(told) == 1 else None


def _read(path: str, without: Collection[str] = ()) -> Module | None:
    """The module at a path; None where it cannot be read."""
    try:
        return read_module(path, without=without)
    except UnreadableError:
        return None


class Survey(NamedTuple):
    """What all modules of a directory tell together."""

    table: Symvers
    """what they export, with their paths as kbuild writes them"""
    references: Counter[tuple[str, int | None]]
    """how often those that came with the kernel refer to which symbol with which CRC (`__versions`), or where they have
    none, just refer to it"""
    used: tuple[Export, ...]
    """what they use of the kernel's own exports, as far as that tells of them: up to 6.15 none is in a namespace that
    one of its users does not import"""


class _User(NamedTuple):
    """What one module uses."""

    path: str
    vermagic: str | None
    intree: bool
    used: tuple[tuple[str, int | None], ...]
    namespaces: frozenset[str]
    """those that it imports, and none"""
    depends: frozenset[str] | None
    """None where it does not say"""

    @classmethod
    def of(cls, module: Module, path: str) -> _User:
        """The facts of `module`, whose file is `path` in the directory."""
        used: Iterable[tuple[str, int | None]] = (
            module.versions
            or module.versions_ext
            or ((one.name, None) for one in module.undefined if one.bind != STB_WEAK)
        )
        depends = module.depends
        return cls(
            path,
            module.vermagic,
            module.info("intree") is not None,
            tuple((symbol, crc and crc & 0xFFFFFFFF) for symbol, crc in used if symbol),
            frozenset(("", *module.import_namespaces)),
            None if depends is None else frozenset(depends),
        )


def _of_one_build(users: dict[str, _User], release: str) -> dict[str, _User]:
    """Those that came with the kernel: below `kernel`, in-tree, of the release that the directory is named by, if any
    is, and of the vermagic that most of these have.

    What was built elsewhere, perhaps for another kernel, proves nothing.
    """
    found = {name: user for name, user in users.items() if user.path.startswith("kernel/")} or users
    if any(user.intree for user in found.values()):
        found = {name: user for name, user in found.items() if user.intree}
    named = {name: user for name, user in found.items() if (user.vermagic or "").split(" ")[0] == release}
    found = named or found
    ((vermagic, _),) = Counter(user.vermagic for user in found.values()).most_common(1) or [(None, 0)]
    return {name: user for name, user in found.items() if user.vermagic == vermagic}


class ModulesDir:
    """The modules directory `path` of a kernel whose modules are the files `paths` below it.

    :ivar release: its name: what `uname -r` prints where it is used
    :ivar modprobe: how the board's modprobe is configured
    """

    def __init__(self, path: str, paths: Iterable[str]) -> None:
        self.path = path
        self.release = os.path.basename(os.path.abspath(path))
        self._root = root = _root(path)
        self.modprobe = Modprobe(root, os.path.join(path, "modules.softdep"))
        self._depmod = Depmod(root, self.release)
        self._files: dict[str, list[str]] = {}
        for relative in sorted(os.path.relpath(one, path) for one in paths):
            if not self._depmod.excludes.intersection(relative.split("/")):
                self._files.setdefault(_name(relative), []).append(relative)
        self._read: dict[str, Module | None] = {}
        self._softdeps: dict[str, Softdeps] = {}

    @cached_property
    def _lines(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """modules.dep: a module's name, its file, and the files that modprobe loads first, in its order."""
        found = {}
        for words in read_lines(os.path.join(self.path, "modules.dep")):
            file, *others = (self._inside(word) for word in (words[0].removesuffix(":"), *words[1:]))
            found[_name(file)] = (file, tuple(reversed(others)))
        return found

    def _inside(self, file: str) -> str:
        """A file of modules.dep relative to the directory; some have whole paths, of the board: below
        `/lib/modules/RELEASE`, or, as Android's, wherever the directory lies there (`/vendor/lib/modules/x.ko`)."""
        if not os.path.isabs(file):
            return file
        _, inside, rest = file.rpartition(f"lib/modules/{self.release}/")
        if inside:
            return rest
        parts = file.split("/")
        ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next((end for end in ends if end in self.files(_name(end))), parts[-1])

    def _is_there(self, file: str) -> bool:
        return is_file(os.path.join(self.path, file))

    def __contains__(self, name: str) -> bool:
        return name in self._files or name in self._renamed

    def files(self, name: str) -> Sequence[str]:
        """All files for a name, relative to the directory."""
        return self._files.get(name, ())

    def picked(self, name: str) -> tuple[str, ...]:
        """The file, relative to the directory, that modprobe loads for a name.

        Empty where there is none; more than one where nothing tells which.
        """
        listed = self._lines.get(name)
        if listed and self._is_there(listed[0]):
            return (listed[0],)
        return self._depmod.pick(self.files(name)) if name in self._files else ()

    def lists(self, relative: str) -> bool | None:
        """Whether modules.dep has that file; None where there is no modules.dep."""
        if not self._lines:
            return None
        listed = self._lines.get(_name(relative))
        return listed is not None and listed[0] == relative

    def order(self, path: str, provided: Collection[str] = ()) -> tuple[str, ...] | None:
        """What modprobe loads before the module whose file is `path`, first to last.

        None where no modules.dep tells: there is none, or the file is another than the one it lists. Where a file that
        it names is gone, nothing is loaded; `provided` are modules that count as there.
        """
        line = self._line(path)
        if line is None:
            return None
        if any(not self._is_there(file) and _name(file) not in provided for file in line):
            return ()
        return tuple(name for file in line if (name := _name(file)) != _name(path))

    def gone(self, path: str) -> tuple[str, ...]:
        """The modules in the line of the module whose file is `path` that are not where modules.dep has them."""
        return tuple(_name(file) for file in self._line(path) or () if not self._is_there(file))

    def _line(self, path: str) -> tuple[str, ...] | None:
        relative = self.relative(path)
        return self._lines[_name(relative)][1] if relative is not None and self.lists(relative) else None

    def module(self, name: str) -> Module | None:
        """The module that modprobe loads for a name, read once; None where that is not known or not readable."""
        if name not in self._files:
            name = self._renamed.get(name, name)
        if name not in self._read:
            self._read[name] = self._module(self.picked(name))
        return self._read[name]

    def _module(self, picked: Sequence[str], without: Collection[str] = ()) -> Module | None:
        return _read(os.path.join(self.path, picked[0]), without) if len(picked) == 1 else None

    @cached_property
    def _outside(self) -> dict[str, Module]:
        """Modules that did not come with the kernel, those in other folders than `kernel`, by their files' names."""
        names = [name for name in self._files if any(not path.startswith("kernel/") for path in self.picked(name))]
        return {name: module for name in names if (module := self.module(name))}

    @cached_property
    def _renamed(self) -> dict[str, str]:
        """Names of such modules that their files do not have: the file's name is the one that modprobe knows."""
        return {module.name: name for name, module in self._outside.items() if module.name != name}

    @cached_property
    def outside(self) -> dict[str, list[Export]]:
        """The exports of such modules, by symbol: no table of the kernel's has them, and depmod finds them as well."""
        return exports_by_name(self._outside.values())

    def missing(self) -> tuple[str, ...]:
        """The modules of the kernel's build that are not there, by modules.order."""
        listed = [_name(words[0]) for words in read_lines(os.path.join(self.path, "modules.order"))]
        return tuple(name for name in dict.fromkeys(listed) if name not in self._files)

    def sample(self, most: int, reference: Module) -> list[Module]:
        """Modules of the build that `reference` is of: of so many files at most, spread over the whole directory."""
        files = sorted(path for paths in self._files.values() for path in paths)
        own = [path for path in files if path.startswith("kernel/")] or files
        read = [self._module([path], PARTS) for path in own[:: -(-len(own) // most)]]
        return [
            one
            for one in read
            if one and one.vermagic == reference.vermagic and one.info("intree") == reference.info("intree")
        ]

    def survey(self) -> Survey:
        """Read all modules, none of which is kept."""
        rows: list[Export] = []
        users: dict[str, _User] = {}
        for name in sorted(self._files):
            picked = self.picked(name)
            if module := self._module(picked, PARTS):
                path = picked[0].removeprefix("kernel/").partition(".ko")[0]
                rows += [export._replace(owner=path) for export in module.exports]
                users[name] = _User.of(module, picked[0])
        own = _of_one_build(users, self.release)
        references = Counter(reference for user in own.values() for reference in user.used)
        # what a module uses and no module here exports is the kernel's own, if all that it depends on has been read
        settled = [user for user in own.values() if user.depends is not None and own.keys() >= user.depends]
        crcs: dict[str, set[int | None]] = {}
        namespaces: dict[str, frozenset[str]] = {}
        for user in settled:
            for symbol, crc in user.used:
                crcs.setdefault(symbol, set()).add(crc)
                namespaces[symbol] = namespaces.get(symbol, user.namespaces) & user.namespaces
        kernels = sorted(name for name in crcs.keys() - {row.name for row in rows} if len(crcs[name]) == 1)
        version = parse_version(self.release)
        # since 6.16 a symbol may be for modules of certain names, which need not import anything
        told = version is not None and not version.since(6, 16)
        known = (
            Export(one, crcs[one].pop(), None, _namespace(namespaces[one]) if told else "?", KERNEL, inferred=True)
            for one in kernels
        )
        return Survey(Symvers(render(rows), self.path), references, tuple(known))

    def softdeps(self, name: str) -> Softdeps:
        """The modules that modprobe tries to load before and after a module, though it does not need them."""
        if name not in self._softdeps:
            wanted = self.modprobe.softdeps(name)
            self._softdeps[name] = Softdeps(
                *(tuple(found for one in words for found in self._lookup(one)) for words in wanted)
            )
        return self._softdeps[name]

    def _lookup(self, wanted: str) -> Sequence[str]:
        """The modules of a name, or of an alias."""
        return (wanted,) if wanted in self._files else tuple(module for _, module in self._matching(wanted))

    def _matching(self, wanted: str) -> Iterator[tuple[str, str]]:
        """The lines of modules.alias for a word: pattern and module."""
        for literal, pattern, module in self._aliases:
            if wanted.startswith(literal) and fnmatchcase(wanted, pattern):
                yield pattern, module

    @cached_property
    def _aliases(self) -> list[tuple[str, str, str]]:
        """modules.alias: what a pattern begins with to the letter, the pattern, the module."""
        lines = [words for words in read_lines(os.path.join(self.path, "modules.alias")) if len(words) == 3]
        patterns = ((underscores(pattern), module) for command, pattern, module in lines if command == "alias")
        return [(re.split(r"[*?[]", one)[0], one, owner_name(module)) for one, module in patterns if one is not None]

    def outline(self) -> dict[str, bytes | None]:
        """All that tells which module is taken, and what is loaded with it, as files of a root file system: the lists,
        kmod's configuration, and the modules by their names alone."""
        folder = f"lib/modules/{self.release}"
        found: dict[str, bytes | None] = {f"{folder}/{one}": None for paths in self._files.values() for one in paths}
        for name in ("modules.dep", "modules.softdep", "modules.order"):
            with suppress(UnreadableError):
                found[f"{folder}/{name}"] = read_bytes(os.path.join(self.path, name))
        wanted = self.modprobe.wanted_softly() - self._files.keys()
        lines = (f"alias {pattern} {module}" for word in wanted for pattern, module in self._matching(word))
        found[f"{folder}/modules.alias"] = "\n".join(sorted({*lines})).encode("utf-8", "surrogateescape")
        for kind in ("modprobe.d", "depmod.d"):
            for name, path in configuration(self._root, kind).items():
                found[f"etc/{kind}/{name}"] = read_bytes(path)
        return found

    def relative(self, path: str) -> str | None:
        """A file's path within the directory; None for one that lies elsewhere."""
        folder, file = os.path.split(path)
        inside = os.path.relpath(real_path(folder), real_path(self.path))
        if inside == os.pardir or inside.startswith(os.pardir + os.sep):
            return None
        return os.path.normpath(os.path.join(inside, file))

    def known_as(self, relative: str) -> str:
        """The name under which modprobe knows a file."""
        return _name(relative)


def _namespace(possible: frozenset[str]) -> str:
    """The namespace of a symbol, as `Export` has it, that all who use it import or that is none (empty)."""
    named = [name for name in possible if name]
    return "" if not named else f"?{named[0]}" if len(named) == 1 else "?"


def _root(path: str) -> str | None:
    """The root of the file system that a directory `…/lib/modules/RELEASE` lies in."""
    match = re.fullmatch(r"(.*?)/(?:usr/)?lib/modules/[^/]+", os.path.abspath(path))
    return (match[1] or "/") if match else None


def _name(file: str) -> str:
    """The name of the module in a file, as modprobe knows it."""
    return owner_name(os.path.basename(file).partition(".ko")[0])
