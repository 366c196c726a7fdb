"""A kernel image: unpacked from whatever it lies in, and searched for what a target is described by."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cached_property
from itertools import repeat

from ..arch import ARCHES, Endianness
from ..btf import HEADER, Btf
from ..files import read_bytes
from .certificates import Certificate, parse_certificate
from .kconfig import Config
from .ksymtab import kernel_table
from .ksymtab_table import Table
from .notes import build_id
from .plain import arch_by_header
from .streams import StreamError, unpack_stream
from .symvers import KERNEL, Symvers, render_rows
from .unpack import unpack

_CERTIFICATE = re.compile(rb"\x30\x82..\x30\x82..\xa0\x03\x02\x01\x02\x02", re.DOTALL)
_BTF: dict[Endianness, re.Pattern[bytes]] = {
    "little": re.compile(rb"\x9f\xeb\x01\0[\x18\x20]\0\0\0\0\0\0\0"),
    "big": re.compile(rb"\xeb\x9f\x01\0\0\0\0[\x18\x20]\0\0\0\0"),
}


#: the architecture's part of vermagic (include/asm/module.h or vermagic.h of each), 4.4 to 7.3
_ARCHES = (
    (r" aarch64$", "arm64"), (r" ARMv\d", "arm"), (r" riscv$", "riscv64"), (r" LOONGARCH 64BIT ", "loongarch64"),
    (r" MIPS\w+ 64BIT ", "mips64"), (r" MIPS\w+ 32BIT ", "mips"),
)  # fmt: skip


#: so many are looked into, the largest first
_MOST_BTF = 4


class Image:
    """The plain bytes of one kernel, and what can be found in them.

    :ivar banner: the line of /proc/version
    :ivar layers: what it was packed in, outermost first
    """

    def __init__(self, path: str, release: str | None = None) -> None:
        """Read the image at `path`.

        :param release: whose kernel is meant where it holds several
        :raises UnreadableError: it cannot be read
        :raises TargetError: there is no kernel in it, or several of which `release` picks none
        """
        self.path = path
        data, self.banner, self.layers, self._wrapper = unpack(read_bytes(path), path, release)
        self.data = _without_pe_signature(data)

    @cached_property
    def release(self) -> str:
        """What `uname -r` prints."""
        return self.banner.split(" ", 3)[2]

    def arch(self) -> tuple[str, Endianness | None] | None:
        """By the kernel's own header, the end of vermagic, or what it was packed in; None where none of these tells.

        Where none tells the byte order of an architecture that has both, the table of exports does.
        """
        own = arch_by_header(self.data)
        if own and self.data[:4] == b"\x7fELF":
            return own
        named = next((arch for pattern, arch in _ARCHES if re.search(pattern, self.vermagic or "")), None)
        told = [one for one in (own, self._wrapper) if one]
        name = named or next((one for one, _ in told), None)
        if name is None:
            return None
        if name == "ppc":  # wrappers have one name for both
            if self._table is None:
                return None
            name = "ppc64" if self._table.layout.word == 8 else name
        order = next((order for one, order in told if one == name), None) or ARCHES[name].endianness
        if order is None and self._table:
            order = "little" if self._table.layout.order == "<" else "big"
        return name, order

    @cached_property
    def build_id(self) -> str | None:
        """What `readelf -n vmlinux` shows as its build id, in hexadecimal; None where nothing tells it."""
        return build_id(self.data)

    @cached_property
    def _table(self) -> Table | None:
        return kernel_table(self.data)

    @cached_property
    def vermagic(self) -> str | None:
        """What the modules of its build have for vermagic; None where the image has no such string."""
        words = rb" (?:[\w-]{1,64}(?: [\w-]{1,64}){0,15} ?)?(?=\0)"
        found = re.search(re.escape(self.release.encode()) + words, self.data)
        return found[0].decode("ascii") if found else None

    def config(self) -> Config | None:
        """The `.config` that it holds (CONFIG_IKCONFIG=y)."""
        start = self.data.find(b"IKCFG_ST")
        if start < 0:
            return None
        try:
            text = unpack_stream(memoryview(self.data)[start + 8 :], "gzip").data
        except StreamError:
            return None
        return Config(text.decode("utf-8", "replace"), f"{self.path} (IKCONFIG)")

    def symvers(self) -> Symvers | None:
        """The table of its exports; None where it is not found, or not understood."""
        table = self._table
        if table is None:
            return None
        kinds = ("EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL")
        crcs, gpl = (crc or 0 for crc in table.crcs), map(kinds.__getitem__, table.gpl)
        rows = zip(crcs, table.names, repeat(KERNEL), gpl, table.namespaces)
        return Symvers(render_rows(rows), self.path, whole=False)

    @cached_property
    def btf(self) -> Btf | None:
        """The kernel's type information: the largest there; None where it was built without."""
        found = []
        for endianness, magic in _BTF.items():
            for match in magic.finditer(self.data):
                start = match.start()
                if len(self.data) - start < HEADER:
                    continue
                one = Btf(self.data[start : start + HEADER], endianness)
                end = start + one.header_length + one.type_len + one.str_len + one.layout_len
                if one.type_len and one.str_off == one.type_len and end <= len(self.data):
                    found.append((end - start, start, endianness))
        for size, start, endianness in sorted(found, reverse=True)[:_MOST_BTF]:
            one = Btf(self.data[start : start + size], endianness)
            if one.whole:
                return one
        return None

    def certificates(self) -> tuple[Certificate, ...]:
        """The X.509 certificates in it: those of its keyrings, and others (of regulatory.db)."""
        return tuple(dict.fromkeys(self._certificates()))

    def _certificates(self) -> Iterator[Certificate]:
        for match in _CERTIFICATE.finditer(self.data):
            (length,) = struct.unpack_from(">H", self.data, match.start() + 2)
            try:
                found = parse_certificate(self.data[match.start() : match.start() + 4 + length])
                yield found._replace(in_image=True)
            except (ValueError, KeyError, TypeError):
                continue


def _without_pe_signature(data: bytes) -> bytes:
    """An EFI image without the signature at its end, whose certificates are for the firmware, not for modules."""
    if data[:2] != b"MZ" or len(data) < 0x40:
        return data
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[header : header + 4] != b"PE\0\0" or header + 200 > len(data):
        return data
    optional = header + 24
    wide = struct.unpack_from("<H", data, optional)[0] == 0x20B
    # the fifth data directory, which has an offset in the file
    offset, size = struct.unpack_from("<II", data, optional + (112 if wide else 96) + 4 * 8)
    return data[:offset] if 0 < offset <= len(data) and size else data
