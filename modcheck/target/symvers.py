"""Module.symvers: the symbols that a kernel build exports, one per line (`scripts/mod/modpost.c`, 2.6.0 to 7.3).

2.6.0 - 2.6.15   crc, symbol, module
2.6.16 - 5.3     crc, symbol, module, export
5.4, 5.5         crc, symbol, namespace, module, export
since 5.6        crc, symbol, module, export, namespace
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import repeat

from ..errors import TargetError
from ..files import read_plain
from ..module.facts import Export

KERNEL = "vmlinux"

_LINE = re.compile(rb"0x[0-9a-fA-F]{8}\t[^\t]+(?:\t[^\t]*){1,3}")
_KERNEL_ROW = re.compile(rb"\n0x[0-9a-fA-F]{8}\t[^\t\n]+\t(?:[^\t\n]*\t)?vmlinux(?:[\t\r\n]|$)")
_HEX_DIGITS = b"0123456789abcdefABCDEF"
#: so many symbols are searched for in the text before an index of all is worth its cost
_SEARCHES = 100


class Symvers:
    """One Module.symvers. Rows are found in the text: a check needs a few dozen of some 25,000.

    :ivar path: the file it was read from
    :ivar rows: how many symbols it has
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        lines = data.splitlines()
        if not _is_regular(lines):
            lines = _checked(lines, path)
            data = b"\n".join(lines)
        self.rows = len(lines)
        self._data = b"\n" + data
        self._searches = 0

    @cached_property
    def _index(self) -> dict[bytes, bytes]:
        return {line.split(b"\t", 2)[1]: line for line in self._data.splitlines()[1:]}

    @cached_property
    def has_kernel(self) -> bool:
        """Whether it has rows of vmlinux: whether it is a kernel's table and not only some module's."""
        return _KERNEL_ROW.search(self._data) is not None

    @cached_property
    def has_crcs(self) -> bool:
        """Whether any CRC differs from zero; a kernel without CONFIG_MODVERSIONS has none."""
        return self._data.count(b"\n0x00000000\t") != self.rows

    def _line(self, name: bytes) -> bytes | None:
        self._searches += 1
        if self._searches > _SEARCHES:
            return self._index.get(name)
        needle = b"\t" + name + b"\t"
        at = self._data.find(needle)
        while at >= 0:
            start = self._data.rindex(b"\n", 0, at) + 1
            if at - start == 10:  # right behind a CRC: the symbol's column
                end = self._data.find(b"\n", at)
                return self._data[start : end if end >= 0 else None].rstrip(b"\r")
            at = self._data.find(needle, at + 1)
        return None

    def get(self, name: str) -> Export | None:
        """The row of the symbol `name`."""
        line = self._line(name.encode("utf-8", "surrogateescape"))
        return None if line is None else _row(line)

    def __iter__(self) -> Iterator[Export]:
        return map(_row, self._data.splitlines()[1:])


def _is_regular(lines: list[bytes]) -> bool:
    """Whether each line has a CRC of eight digits and two to four more columns; a quick look at all at once."""
    if not set(map(bytes.count, lines, repeat(b"\t"))) <= {2, 3, 4}:
        return False
    heads = b"".join([line[:11] for line in lines])
    count = len(lines)
    zeros, crosses, tabs = heads[0::11], heads[1::11], heads[10::11]
    rest = heads.translate(None, _HEX_DIGITS)
    return (zeros, crosses, tabs, rest) == (b"0" * count, b"x" * count, b"\t" * count, b"x\t" * count)


def _checked(lines: list[bytes], path: str) -> list[bytes]:
    """The lines that are not blank; says which is broken."""
    for number, line in enumerate(lines, 1):
        if line.strip() and not _LINE.fullmatch(line):
            shown = line[:60].decode("utf-8", "replace").strip()
            raise TargetError(f"{path}:{number}", f"not a line of a Module.symvers: {shown!r}")
    return [line for line in lines if line.strip()]


def _row(line: bytes) -> Export:
    columns = line.decode("utf-8", "replace").split("\t")
    crc, name, owner = columns[:3]
    kind = columns[3] if len(columns) > 3 else ""
    namespace = columns[4] if len(columns) > 4 else ""
    if len(columns) == 5 and not kind.startswith(("EXPORT_", "(unknown)")):
        namespace, owner, kind = columns[2:]
    gpl = kind in ("EXPORT_SYMBOL_GPL", "EXPORT_UNUSED_SYMBOL_GPL")
    return Export(name, int(crc, 16), gpl, namespace, owner_name(owner))


def owner_name(path: str) -> str:
    """The name under which the exporter at `path` is loaded: `drivers/net/usb-net` is usb_net; vmlinux stays."""
    name = os.path.basename(path)
    return name if name == KERNEL else name.removesuffix(".ko").removesuffix(".o").replace("-", "_")


def read_symvers(path: str | os.PathLike[str]) -> Symvers:
    """Read a Module.symvers, plain or `.gz`, `.xz`, `.zst`.

    :raises UnreadableError: the file cannot be read or decompressed
    :raises TargetError: a line that is none of a Module.symvers; the line number is named
    """
    return Symvers(read_plain(path), os.fspath(path))
