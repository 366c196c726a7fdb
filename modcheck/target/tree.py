"""A kernel's build tree, or the headers package made from one: where it keeps release, version and tables.

Sources: the top Makefile of 2.6.11 to 7.3 (`utsrelease.h`, `kernel.release`), Debian's headers packages
(`.kernelvariables`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from ..errors import TargetError, UnreadableError
from ..files import is_file, is_folder, list_folder, read_bytes, real_path
from .notes import build_id

_RELEASE_HEADERS = ("include/generated/utsrelease.h", "include/linux/utsrelease.h", "include/linux/version.h")
_UTS_RELEASE = r'(?m)^#define\s+UTS_RELEASE\s+"([^"]*)"'
_KERNELRELEASE = r"(?m)^(?:override\s+)?KERNELRELEASE\s*:?=\s*(\S+)"
_MAKEFILE_VERSION = r"(?m)^VERSION = (\d+)\nPATCHLEVEL = (\d+)\n(?:SUBLEVEL = (\d+)\n)?"
_EXTRAVERSION = r"(?m)^EXTRAVERSION[ \t]*=[ \t]*(\S+)"
_COPYING = 300
"""seconds by which the files of one build may come to differ when a tree is copied"""
_SEED_HEADERS = ("include/generated/randstruct_hash.h", "include/generated/randomize_layout_hash.h")
_SEED = r'RANDSTRUCT_HASHED_SEED\s+"([0-9a-f]+)"'


class Tree:
    """One build or headers directory; its methods read what is asked for, and None means that it is not there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def _text(self, name: str) -> str | None:
        try:
            return read_bytes(self.origin(name)).decode("utf-8", "replace")
        except UnreadableError:
            return None

    def _search(self, name: str, pattern: str) -> re.Match[str] | None:
        text = self._text(name)
        return re.search(pattern, text) if text is not None else None

    def origin(self, name: str) -> str:
        """The path of a file of the tree, as it is opened and as reports call it."""
        return os.path.join(self.path, name)

    def release(self) -> tuple[str, str] | None:
        """The release that vermagic is compiled from, and the file that says so."""
        for name in _RELEASE_HEADERS:
            if found := self._search(name, _UTS_RELEASE):
                return found[1], self.origin(name)
        if found := self._search(".kernelvariables", _KERNELRELEASE):
            return found[1], self.origin(".kernelvariables")
        return self.kernel_release()

    def kernel_release(self) -> tuple[str, str] | None:
        """What `include/config/kernel.release` says: upstream the release, in Debian's packages the version."""
        name = "include/config/kernel.release"
        text = self._text(name)
        return (text.strip(), self.origin(name)) if text and text.strip() else None

    def makefile_version(self) -> tuple[str, str] | None:
        """The version in the top Makefile of a source tree."""
        if found := self._search("Makefile", _MAKEFILE_VERSION):
            return ".".join(number for number in found.groups() if number), self.origin("Makefile")
        return None

    def extraversion(self) -> str | None:
        """EXTRAVERSION in the top Makefile."""
        found = self._search("Makefile", _EXTRAVERSION)
        return found[1] if found else None

    def banner(self) -> str | None:
        """The line that /proc/version prints of the kernel that was built here last (init/version.c, 2.6.11 to 7.3).

        UTS_VERSION stands in compile.h, since 6.1 in utsversion.h. None too where that was written after
        Module.symvers, as `make Image` does: the table is then of the kernel before.
        """
        table = self.symvers()
        for name in ("compile.h", "utsversion.h"):
            with suppress(OSError):
                written = os.stat(self.origin(f"include/generated/{name}")).st_mtime
                if table and written > os.stat(table).st_mtime + _COPYING:
                    return None
        texts = [self._text(f"include/generated/{name}") or "" for name in ("compile.h", "utsversion.h")]
        texts += [self._text("include/linux/compile.h") or ""]  # until 2.6.32
        defined = dict(re.findall(r'(?m)^#\s*define\s+(\w+)\s+"(.*)"', "\n".join(texts)))
        release = self.release()
        words = [defined.get(f"LINUX_{one}") for one in ("COMPILE_BY", "COMPILE_HOST", "COMPILER")]
        if release is None or None in words or "UTS_VERSION" not in defined:
            return None
        by, host, compiler = words
        return f"Linux version {release[0]} ({by}@{host}) ({compiler}) {defined['UTS_VERSION']}".replace("\\", "")

    def build_id(self) -> str | None:
        """The build id of its vmlinux; None where there is none, or it was linked anew after Module.symvers was
        written, as `make Image` does."""
        path, table = self.vmlinux(), self.symvers()
        if path is None or table is None:
            return None
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile  # takes as long as all the rest of a short run

        with suppress(OSError, ELFError):
            if os.stat(path).st_mtime > os.stat(table).st_mtime + _COPYING:
                return None
            with open(path, "rb") as file:
                section = ELFFile(file).get_section_by_name(".notes")
                return build_id(section.data()) if section else None
        return None

    def newer_than_symvers(self) -> tuple[str, float] | None:
        """The header that was written after Module.symvers, and when (seconds since 1970): release or options have
        changed since, and the table is of what was before."""
        table = self.symvers()
        if table is None:
            return None
        for name in ("include/generated/utsrelease.h", "include/generated/autoconf.h"):
            with suppress(OSError):
                time = os.stat(self.origin(name)).st_mtime
                if time > os.stat(table).st_mtime + _COPYING:
                    return self.origin(name), time
        return None

    def randstruct_seed(self) -> str | None:
        """The hashed seed of CONFIG_RANDSTRUCT, which ends vermagic."""
        return next((found[1] for name in _SEED_HEADERS if (found := self._search(name, _SEED))), None)

    def is_debian(self) -> bool:
        """Whether Debian's packaging made it."""
        return is_file(self.origin(".kernelvariables"))

    def symvers(self) -> str | None:
        """Its Module.symvers, compressed or not."""
        names = ("Module.symvers", "Module.symvers.gz", "Module.symvers.xz", "Module.symvers.zst")
        return next((path for path in map(self.origin, names) if is_file(path)), None)

    def vmlinux(self) -> str | None:
        """The kernel as linked there; in Debian's headers of 6.12 and later only its type information."""
        path = self.origin("vmlinux")
        return path if is_file(path) else None

    def own_modules(self) -> list[str]:
        """Modules that were built in it and are still there, as its modules.order lists them."""
        lines = (self._text("modules.order") or "").splitlines()
        paths = (self.origin(re.sub(r"\.o$", ".ko", line.strip().removeprefix("kernel/"))) for line in lines)
        return [path for path in paths if is_file(path)]


def is_tree(path: str) -> bool:
    """Whether `path` is a kernel's build or headers directory."""
    include = os.path.join(path, "include")
    prepared = any(is_folder(os.path.join(include, name)) for name in ("generated", "config"))
    return prepared and is_file(os.path.join(path, ".config"))


def find_tree(path: str, release: str | None = None) -> Tree:
    """The build or headers directory at `path`, or the one below it.

    :param release: picks one where several lie below `path`
    :raises TargetError: none there, or several of different releases
    """
    if is_tree(path):
        return Tree(path)
    found: dict[str, Tree] = {}
    for folder, inside in (("", ""), ("usr/src", ""), ("usr/lib/modules", "build"), ("lib/modules", "build")):
        around = os.path.join(path, folder)
        for candidate in (os.path.join(around, name, inside).rstrip(os.sep) for name in list_folder(around)):
            if is_tree(candidate):
                found.setdefault(real_path(candidate), Tree(candidate))
    trees = list(found.values())
    if release is not None and len(trees) > 1:
        trees = [tree for tree in trees if (known := tree.release()) and known[0] == release]
    if len(trees) == 1:
        return trees[0]
    if found:
        names = ", ".join(known[0] if (known := tree.release()) else tree.path for tree in found.values())
        raise TargetError(path, f"holds more than one kernel: {names}; --release picks one")
    raise TargetError(
        path,
        "no kernel build or headers directory (no .config beside include/generated or include/config), no "
        "lib/modules/RELEASE, no image in boot/",
    )
