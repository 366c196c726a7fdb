"""Reading a `.ko`: bytes in, `Module` out. What the file declares, and nothing of kernels or verdicts."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ..arch import arch_of_machine
from ..errors import UnreadableError
from ..files import SIGNATURE_MARKER, compression, decompress, read_bytes
from .elf import Image, machine_name
from .facts import SHF_ALLOC, SHT_NOBITS, Elf, Export, Header, Module, Section, Symbol
from .relocations import read_relocations
from .tables import (
    count_unnamed_versions,
    export_sections,
    read_entry_points,
    read_exports,
    read_modinfo,
    read_module_name,
    read_versions,
    read_versions_ext,
)

if TYPE_CHECKING:
    from .facts import Parameter
    from .signature import Signature

#: The .xz File Format, 2.1.1.2: checks that all decoders know; RFC 1952, 2.3.1: the flag of a file's name
_PLAIN_CHECKS, _XZ_CHECKS = (0, 1), {4: "CRC64", 10: "SHA-256"}
_GZIP_NAME = 8

#: what of a module takes time to read, and is not always asked for
PARTS = frozenset(("relocations", "places", "parameters", "btf", "signature", "digests"))

__all__ = [
    "PARTS",
    "Elf",
    "Export",
    "Header",
    "Module",
    "Section",
    "Symbol",
    "parse_module",
    "read_module",
]


def read_module(path: str | os.PathLike[str], *, without: Collection[str] = ()) -> Module:
    """Read one `.ko`, `.ko.gz`, `.ko.xz` or `.ko.zst`.

    A file that is no module (empty, no ELF file, a broken archive, a shared library) is returned all the same, with
    `Module.error` set: a kernel has an answer to it.

    :param without: of `PARTS`, what nobody is going to ask for, and which then is not read: `signature` without
        `digests` costs next to nothing, nor do `relocations` without `places`, which tell their types alone. A
        prediction needs them all, but `digests` for a kernel of which no keys are known.
    :raises UnreadableError: the file cannot be opened or read
    """
    raw = read_bytes(path)
    kind = compression(raw)
    try:
        data = decompress(raw, path)
    except UnreadableError as error:
        return parse_module(b"", os.fspath(path), kind, error.reason)
    module = parse_module(data, os.fspath(path), kind, without=without)
    feature = _compression_feature(raw[:8].ljust(8, b"\0"), kind)
    return replace(module, compression_feature=feature) if feature else module


def _compression_feature(start: bytes, kind: str | None) -> str | None:
    """What a stream that begins so has that not every decoder knows: another check than CRC32, fields in the header."""
    if kind == "xz" and start[7] not in _PLAIN_CHECKS:
        return f"xz with {_XZ_CHECKS.get(start[7], f'check {start[7]}')}"
    if kind == "gz" and start[3] & ~_GZIP_NAME:
        return "gzip with more than a name in its header"
    return None


def parse_module(
    data: bytes, path: str, kind: str | None = None, error: str | None = None, *, without: Collection[str] = ()
) -> Module:
    """The facts in the plain bytes `data` of a module; `path` and `kind` (its compression) are only recorded."""
    image = Image(data)
    this_module = image.find(".gnu.linkonce.this_module", SHF_ALLOC)
    modinfo = read_modinfo(image)
    name = read_module_name(image, this_module)
    machine = image.header.e_machine if image.header else 0
    return Module(
        path=path,
        error=error or _error(image),
        compression=kind,
        arch=arch_of_machine(machine, image.bits),
        machine=machine_name(machine),
        elf=image.elf,
        name=name,
        info_name=next((value for tag, value in modinfo if tag == "name"), None),
        modinfo=modinfo,
        versions=read_versions(image),
        versions_ext=read_versions_ext(image),
        symbols=image.loader_symbols(),
        exports=read_exports(image, name),
        export_sections=export_sections(image),
        relocations=() if "relocations" in without else read_relocations(image, places="places" not in without),
        parameters=None if "parameters" in without else _parameters(image),
        this_module_size=this_module.sh_size if this_module and this_module.sh_type != SHT_NOBITS else None,
        btf=None if "btf" in without else _content(image, ".BTF"),
        btf_base=None if "btf" in without else _content(image, ".BTF.base"),
        signature=None if "signature" in without else _signature(data, digests="digests" not in without),
        entry_points=() if "relocations" in without else read_entry_points(image),
        unnamed_versions=count_unnamed_versions(image),
    )


def _parameters(image: Image) -> tuple[Parameter, ...] | None:
    if "__param" not in image.sections.places:
        return ()
    from .parameters import read_parameters

    return read_parameters(image)


def _signature(data: bytes, *, digests: bool) -> Signature | None:
    if not data.endswith(SIGNATURE_MARKER):
        return None
    from .signature import read_signature

    return read_signature(data, digests=digests)


def _content(image: Image, name: str) -> bytes | None:
    section = image.find(name)
    return image.bytes_of(section) if section and section.sh_size else None


def _error(image: Image) -> str | None:
    """Why the file is no kernel module at all, in words for its user; None when it may be one."""
    if not image.data:
        return "empty file"
    if image.data[:4] != b"\x7fELF":
        return "not an ELF file"
    if image.header is None or not image.sections:
        return None  # a damaged ELF file: the kernel says what is wrong with it
    if image.find(".modinfo") or image.find(".gnu.linkonce.this_module"):
        return None
    kind = {1: "an object file", 2: "a program", 3: "a shared library"}.get(image.header.e_type, "an ELF file")
    return f"not a kernel module, but {kind} (no .modinfo, no .gnu.linkonce.this_module)"
