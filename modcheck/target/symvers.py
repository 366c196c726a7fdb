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

from ..errors import TargetError
from ..files import read_plain
from ..module.facts import Export

KERNEL = "vmlinux"

_CRC = re.compile(rb"0x[0-9a-fA-F]{8,16}")
_CRC_START = re.compile(rb"0x[0-9a-fA-F]{8}")


class Symvers:
    """One Module.symvers. Rows are looked up in place: a check needs a few dozen of some 25,000.

    :ivar path: the file it was read from
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        lines = data.count(b"\n")
        self.rows = lines
        self._fields: list[bytes] = data.replace(b"\n", b"\t").split(b"\t")
        self._columns = len(self._fields) // lines if lines else 0
        self._namespace_third = False
        if lines and not self._regular(data, lines):
            self._read_by_line(data)
        elif self._columns == 5:
            self._namespace_third = not self._fields[3].startswith(b"EXPORT_") and self._fields[3] != b"(unknown)"

    def _regular(self, data: bytes, lines: int) -> bool:
        """Whether every line has the same number of fields, three at least, and begins with a CRC."""
        columns = self._columns
        if columns not in (3, 4, 5) or len(self._fields) != columns * lines + 1 or self._fields[-1] or b"\r" in data:
            return False
        crcs = self._fields[0:-1:columns]
        return set(map(len, crcs)) == {10} and all(map(_CRC_START.match, crcs))

    def _read_by_line(self, data: bytes) -> None:
        """The slow way, for a table that mixes layouts or is broken; says where."""
        fields: list[bytes] = []
        count = 0
        for number, line in enumerate(data.split(b"\n"), 1):
            line = line.rstrip(b"\r")
            if not line.strip():
                continue
            row = line.split(b"\t")
            if not 3 <= len(row) <= 5 or not _CRC.fullmatch(row[0]) or not row[1]:
                shown = line[:60].decode("utf-8", "replace").strip()
                raise TargetError(f"{self.path}:{number}", f"not a line of a Module.symvers: {shown!r}")
            if len(row) == 5 and not row[3].startswith((b"EXPORT_", b"(unknown)")):
                row = [row[0], row[1], row[3], row[4], row[2]]
            fields += row + [b""] * (5 - len(row))
            count += 1
        self._fields, self._columns, self.rows = [*fields, b""], 5, count

    @cached_property
    def _index(self) -> dict[bytes, int]:
        columns = self._columns
        if not columns:
            return {}
        return dict(zip(self._fields[1:-1:columns], range(0, len(self._fields), columns)))

    @cached_property
    def has_kernel(self) -> bool:
        """Whether it has rows of vmlinux: whether it is a kernel's table and not only some module's."""
        return KERNEL.encode() in self._fields[3 if self._namespace_third else 2 :: self._columns or 1]

    @cached_property
    def has_crcs(self) -> bool:
        """Whether any CRC differs from zero; a kernel without CONFIG_MODVERSIONS has none."""
        crcs = set(self._fields[0 : -1 : self._columns or 1])
        return any(int(crc, 16) for crc in crcs)

    def _row(self, start: int) -> Export:
        row = self._fields[start : start + self._columns]
        crc, name, owner = row[:3]
        kind, namespace = row[3] if self._columns > 3 else b"", row[4] if self._columns > 4 else b""
        if self._namespace_third:
            namespace, owner, kind = row[2], row[3], row[4]
        return Export(
            name=name.decode("utf-8", "replace"),
            crc=int(crc, 16) & 0xFFFFFFFF,
            gpl=kind in (b"EXPORT_SYMBOL_GPL", b"EXPORT_UNUSED_SYMBOL_GPL"),
            namespace=namespace.decode("utf-8", "replace"),
            owner=owner_name(owner.decode("utf-8", "replace")),
        )

    def get(self, name: str) -> Export | None:
        """The row of the symbol `name`."""
        start = self._index.get(name.encode("utf-8", "surrogateescape"))
        return None if start is None else self._row(start)

    def __iter__(self) -> Iterator[Export]:
        return (self._row(start) for start in range(0, len(self._fields) - 1, self._columns or 1))


def owner_name(path: str) -> str:
    """The name under which the exporter at `path` is loaded: `drivers/net/usb-net` is usb_net; vmlinux stays."""
    name = os.path.basename(path)
    return name if name == KERNEL else name.removesuffix(".ko").removesuffix(".o").replace("-", "_")


def read_symvers(path: str | os.PathLike[str]) -> Symvers:
    """Read a Module.symvers, plain or `.gz`, `.xz`, `.zst`.

    :raises UnreadableError: the file cannot be read or decompressed
    :raises TargetError: a line that is none of a Module.symvers; the line number is named
    """
    data = read_plain(path)
    if data and not data.endswith(b"\n"):
        data += b"\n"
    return Symvers(data, os.fspath(path))
