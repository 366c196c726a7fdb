"""A kernel image: unpacked from whatever container it lies in, and searched for what a target is described by.

Formats: Documentation/arch/x86/boot.rst (`HdrS`), drivers/firmware/efi/libstub/zboot-header.S; everything else that is
compressed is found by the magic number of its codec.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ..arch import Endianness
from ..btf import HEADER, Btf
from ..errors import TargetError
from ..files import first_stream, read_bytes
from .certificates import Certificate, parse_certificate
from .kconfig import Config
from .ksymtab import kernel_exports
from .symvers import Symvers, render

#: least size of a kernel once unpacked; what is smaller was no kernel
_LEAST = 4 << 20
_LAYERS = 6
_BANNER = re.compile(rb"Linux version (\d+\.\d+\S*) [ -~]*\n")
_STREAMS = re.compile(rb"\x1f\x8b\x08|\xfd7zXZ\0|\x28\xb5\x2f\xfd")
_CERTIFICATE = re.compile(rb"\x30\x82..\x30\x82..\xa0\x03\x02\x01\x02\x02", re.DOTALL)
_BTF: dict[Endianness, re.Pattern[bytes]] = {
    "little": re.compile(rb"\x9f\xeb\x01\0[\x18\x20]\0\0\0\0\0\0\0"),
    "big": re.compile(rb"\xeb\x9f\x01\0\0\0\0[\x18\x20]\0\0\0\0"),
}


class Image:
    """The plain bytes of one kernel, and what can be found in them."""

    def __init__(self, path: str) -> None:
        """Read the image at `path`.

        :raises UnreadableError: it cannot be read
        :raises TargetError: there is no kernel in it
        """
        self.path = path
        self.data = _unpacked(_without_pe_signature(read_bytes(path)), path)

    def release(self) -> str:
        """What `uname -r` prints."""
        found = _BANNER.search(self.data)
        assert found
        return found[1].decode("ascii", "replace")

    def vermagic(self) -> str | None:
        """What the modules of its build have for vermagic; None where the image has no such string."""
        found = re.search(re.escape(self.release().encode()) + rb" (?:[\w-]+ ?)*(?=\0)", self.data)
        return found[0].decode("ascii") if found else None

    def config(self) -> Config | None:
        """The `.config` that it holds (CONFIG_IKCONFIG=y)."""
        start = self.data.find(b"IKCFG_ST")
        text = first_stream(self.data[start + 8 :]) if start >= 0 else None
        return Config(text.decode("utf-8", "replace"), f"{self.path} (IKCONFIG)") if text else None

    def symvers(self) -> Symvers | None:
        """The table of its exports; None where it is not found, or not understood."""
        exports = kernel_exports(self.data)
        return Symvers(render(exports), self.path, whole=False) if exports else None

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
                    found.append(Btf(self.data[start:end], endianness))
        found = [one for one in found if one.whole]
        return max(found, key=lambda one: len(one.data), default=None)

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


def _unpacked(data: bytes, path: str) -> bytes:
    for _ in range(_LAYERS):
        if _BANNER.search(data):
            return data
        inner = next(_payloads(data), None)
        if inner is None:
            break
        data = inner
    raise TargetError(
        path,
        "no Linux kernel in it, or one that is compressed in a way not known here "
        "(a .config goes to --config, a Module.symvers to --symvers)",
    )


def _payloads(data: bytes) -> Iterator[bytes]:
    """What is compressed in `data`, as far as it may be a kernel."""
    for start in _starts(data):
        plain = first_stream(data[start:])
        if plain and len(plain) >= _LEAST:
            yield plain


def _starts(data: bytes) -> Iterator[int]:
    if data[0x202:0x206] == b"HdrS" and len(data) > 0x24C:
        (payload,) = struct.unpack_from("<I", data, 0x248)
        yield ((data[0x1F1] or 4) + 1) * 512 + payload
    if data[4:8] == b"zimg" and len(data) > 12:
        yield struct.unpack_from("<I", data, 8)[0]
    for match in _STREAMS.finditer(data):
        yield match.start()
