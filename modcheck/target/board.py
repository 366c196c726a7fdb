"""What a running kernel tells of itself: `/proc` and `/sys` of this machine, or as `modcheck capture` has put them into
a tar under the same names.

Kernel sources: fs/proc/version.c, kernel/ksysfs.c (notes), kernel/kallsyms.c, security/lockdown/lockdown.c,
kernel/module/main.c (`sig_enforce`, `modules_disabled`).
"""

from __future__ import annotations

import os
import re

from ..arch import Endianness, parse_arch
from ..btf import Btf
from ..errors import UnreadableError
from ..files import is_file, list_folder, read_bytes
from ..module.facts import Export
from .btf import read_btf
from .facts import is_true
from .notes import build_id
from .symvers import KERNEL, Symvers, render

#: what `modcheck capture` begins and ends with
CAPTURE, CAPTURE_END = "modcheck/capture", "modcheck/missing"
#: what is in its first file; a later form has another number
_FORM = "modcheck capture 1"
_EXPORT = re.compile(rb"(?m)^\S+ \S __ksymtab_(\S+)$")


class Board:
    """The root `path` of a running machine's files; its methods read what is asked for, and None means not there."""

    def __init__(self, path: str) -> None:
        self.path = path

    def origin(self, name: str) -> str:
        """The path of one of its files, as it is opened and as reports call it."""
        return os.path.join(self.path, name)

    def _bytes(self, name: str) -> bytes | None:
        try:
            return read_bytes(self.origin(name))
        except UnreadableError:
            return None

    def text(self, name: str) -> str | None:
        """A file of one line."""
        data = self._bytes(name)
        return data.decode("utf-8", "replace").strip() if data else None

    @property
    def captured(self) -> bool:
        """Whether it is a capture, in the form that is known here."""
        return (self.text(CAPTURE) or "").partition("\n")[0] == _FORM

    def release(self) -> str | None:
        """What `uname -r` prints."""
        return self.text("proc/sys/kernel/osrelease")

    def arch(self) -> tuple[str, Endianness | None] | None:
        """By what `uname -m` prints."""
        lines = (self.text("modcheck/uname") or "").split("\n")
        machine = lines[1] if len(lines) > 1 else "" if self.captured else os.uname().machine
        return parse_arch(machine)

    def lockdown(self) -> str | None:
        """The mode that stands in brackets: `none [integrity] confidentiality`."""
        found = re.search(r"\[(\w+)\]", self.text("sys/kernel/security/lockdown") or "")
        return found[1] if found else None

    def switch(self, name: str) -> bool | None:
        """Whether a parameter or a sysctl is on."""
        value = self.text(name)
        return is_true(value) if value else None

    def sys_module(self) -> frozenset[str] | None:
        """The folders in /sys/module that are not of loaded modules: a module of that name is refused."""
        listed = self._bytes("modcheck/sys-module")
        names = listed.decode("utf-8", "replace").split() if listed else list_folder(self.origin("sys/module"))
        loaded = self._bytes("proc/modules")
        if not names or loaded is None:
            return None
        return frozenset(names) - {line.split()[0] for line in loaded.decode("utf-8", "replace").splitlines()}

    def config(self) -> str | None:
        """/proc/config.gz."""
        path = self.origin("proc/config.gz")
        return path if is_file(path) else None

    def btf(self) -> tuple[Btf | None, str]:
        """The kernel's type information, and where it lies."""
        path = self.origin("sys/kernel/btf/vmlinux")
        try:
            return (read_btf(path) if is_file(path) else None), path
        except UnreadableError:
            return None, path

    def kcore(self) -> str | None:
        """The kernel's memory, where no image could be read."""
        path = self.origin("modcheck/kcore")
        return path if is_file(path) else None

    def no_image(self) -> str:
        """Why there is no image of it in a capture, as the board has told."""
        lines = (self.text(CAPTURE_END) or "").split("\n")
        return "; ".join(line for line in lines if line.startswith(("boot", "proc/kcore", "modcheck/kcore")))

    def runs(self, kernel: bytes) -> bool | None:
        """Whether the plain image `kernel` is what runs there; None where nothing tells.

        The notes of the running kernel are in its image and in no other; the line of /proc/version nearly so.
        """
        notes, banner = self._bytes("sys/kernel/notes"), self._bytes("proc/version")
        if notes:
            return notes in kernel
        return banner.strip() in kernel if banner else None

    def build_id(self) -> str | None:
        """Of the notes of the running kernel."""
        notes = self._bytes("sys/kernel/notes")
        return build_id(notes) if notes else None

    def exports(self) -> Symvers | None:
        """The names of all that the kernel exports, as /proc/kallsyms has them (CONFIG_KALLSYMS_ALL): sorted, those for
        GPL-compatible modules behind the others up to 7.0; no CRCs."""
        listed = self._bytes("modcheck/kallsyms")
        path = self.origin("modcheck/kallsyms" if listed else "proc/kallsyms")
        names = listed.split() if listed else _EXPORT.findall(self._bytes("proc/kallsyms") or b"")
        if not names:
            return None
        texts = [name.decode("utf-8", "replace") for name in names]
        restarts = [at for at in range(1, len(names)) if names[at] < names[at - 1]]
        split = restarts[0] if len(restarts) == 1 else None
        rows = [
            Export(name, None, None if split is None else at >= split, "?", KERNEL, inferred=True)
            for at, name in enumerate(texts)
        ]
        return Symvers(render(rows), path, whole=False, inferred=True, names_all=True)
