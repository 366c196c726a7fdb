"""kmod's configuration on the board: in which folder depmod looks first for a module of some name (`depmod.d`), and
what modprobe runs, adds or loads beside it (`modprobe.d`).

Read from tools/depmod.c and libkmod/libkmod-config.c of kmod 34; the manual pages are depmod.d(5) and modprobe.d(5).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..errors import UnreadableError
from ..files import list_folder, read_bytes

#: where both programs look for `*.conf`; of two files with one name the first folder's counts
_FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib", "lib")


class Softdeps(NamedTuple):
    """What modprobe loads before and after a module if it can; a failure there does not matter."""

    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()


def read_lines(path: str) -> Iterator[list[str]]:
    """The words of each line of a configuration file, long lines put together; nothing where there is no such file."""
    try:
        text = read_bytes(path).decode("utf-8", "surrogateescape")
    except UnreadableError:
        return
    for written in text.replace("\\\n", "").split("\n"):
        words = written.split()
        if words and not words[0].startswith("#"):
            yield words


def configuration(root: str | None, name: str) -> dict[str, str]:
    """The files `*.conf` in the folders `name` below `root`, by their names without the folder."""
    files: dict[str, str] = {}
    for folder in _FOLDERS if root else ():
        assert root
        path = os.path.join(root, folder, name)
        for file in list_folder(path):
            if file.endswith(".conf") and not file.startswith("."):
                files.setdefault(file, os.path.join(path, file))
    return files


def _configuration(root: str | None, name: str, *more: str) -> Iterator[list[str]]:
    """The lines of the files `more`, and of all of `configuration`, in the order of their names, as kmod reads them."""
    files = {**configuration(root, name), **{os.path.basename(path): path for path in more}}
    for _, path in sorted(files.items()):
        yield from read_lines(path)


def underscores(name: str) -> str | None:
    """A module's name, alias or pattern with `_` for `-`, but within brackets; None where those do not pair."""
    parts = re.split(r"(\[[^]]*\])", name)
    if any("[" in part or "]" in part for part in parts[::2]):
        return None
    return "".join(part if place % 2 else part.replace("-", "_") for place, part in enumerate(parts))


class Depmod:
    """Which of several files of one module depmod takes.

    :ivar searches: folders of the modules directory, the one that counts most first; `built-in` is all others
    :ivar overrides: files, without their suffix, that win over all of them
    :ivar excludes: names of folders that are passed over
    """

    def __init__(self, root: str | None, release: str) -> None:
        self.searches: list[str] = []
        self.overrides: list[str] = []
        self.excludes = {"build", "source"}
        for command, *words in _configuration(root, "depmod.d"):
            if command == "search":
                self.searches += words
            elif command == "override" and len(words) >= 3 and _matches(words[1], release):
                self.overrides.insert(0, f"{words[2]}/{words[0]}")
            elif command == "exclude":
                self.excludes.update(words)
        self.searches = self.searches or ["updates"]

    def pick(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of `paths`, relative to the modules directory, that may be taken.

        More than one where nothing but the order of the folder's entries on the disk decides.
        """
        for override in self.overrides:
            found = [path for path in paths if path[: path.rindex(".ko")] == override]
            if found:
                return tuple(found)
        best = min(map(self._place, paths))
        return tuple(path for path in paths if self._place(path) == best)

    def _place(self, path: str) -> int:
        for place, search in enumerate(self.searches):
            if search not in ("built-in", "external") and path.startswith(search.rstrip("/") + "/"):
                return place
        return self.searches.index("built-in") if "built-in" in self.searches else len(self.searches)


def _matches(pattern: str, release: str) -> bool:
    """Whether an override is for this kernel: `*`, or an extended regular expression found in its release."""
    try:
        return pattern == "*" or re.search(pattern, release) is not None
    except re.error:
        return False


class Modprobe:
    """What modprobe does beside handing a module to the kernel.

    :ivar installs: module (a shell pattern) and the command that is run in place of loading it
    """

    def __init__(self, root: str | None, softdeps: str) -> None:
        lines = list(_configuration(root, "modprobe.d", softdeps))
        named = [(words[0], name, words[2:]) for words in lines if len(words) > 1 and (name := underscores(words[1]))]
        self._options = [(name, " ".join(rest)) for command, name, rest in named if command == "options"]
        self._softdeps = [(name, _softdeps(rest)) for command, name, rest in named if command == "softdep"]
        self.installs = [(name, " ".join(rest)) for command, name, rest in named if command == "install"]
        self.blacklist = frozenset(name for command, name, _ in named if command == "blacklist")

    def options(self, name: str) -> str:
        """The arguments that modprobe adds to those on its command line."""
        return " ".join(words for module, words in self._options if module == name)

    def install(self, name: str) -> str | None:
        """The command that is run in place of loading the module."""
        return next((command for pattern, command in self.installs if fnmatchcase(name, pattern)), None)

    def wanted_softly(self) -> frozenset[str]:
        """All words that softdep lines name, modules and aliases."""
        return frozenset(word for _, found in self._softdeps for words in found for word in words)

    def softdeps(self, name: str) -> Softdeps:
        """The first line for the module counts."""
        return next((found for pattern, found in self._softdeps if fnmatchcase(name, pattern)), Softdeps())


def _softdeps(words: Sequence[str]) -> Softdeps:
    found: dict[str, list[str]] = {"pre:": [], "post:": []}
    kind = None
    for word in words:
        if word in found:
            kind = word
        elif kind:
            found[kind].append(word.replace("-", "_"))
    return Softdeps(tuple(found["pre:"]), tuple(found["post:"]))
