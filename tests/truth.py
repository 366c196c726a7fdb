"""What booted kernels did, as compact data: the facts of kernel and modules, and the answer to each load.

One file a case in tests/data/truth/. It holds all that a prediction looks at, and nothing else: of the kernel's
`.config`, Module.symvers and BTF only what was asked for, of a module its facts and not its code. So it can be replayed
when the packages are gone. The BTF of a module is kept where the kernel had something to say of it; of the others it is
left out, since it would be most of the data. So it is with signatures: where a changed module was tried, all are kept,
with the keys that verify them.
"""

from __future__ import annotations

import base64
import json
import lzma
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from modcheck import Module, Target
from modcheck.btf import Btf
from modcheck.module.facts import (
    Elf,
    Export,
    Header,
    Parameter,
    Relocations,
    Section,
    Sections,
    Symbol,
)
from modcheck.module.signature import Message, Signature, Signer
from modcheck.target.builtin import Builtin
from modcheck.target.certificates import Certificate
from modcheck.target.facts import Symbols
from modcheck.target.kconfig import Config
from modcheck.target.symvers import Symvers
from modcheck.version import Version


@dataclass(frozen=True, slots=True)
class Seen:
    """One load on a booted kernel: the module's facts, flags and arguments, what was printed before and will not be
    again (`LogLine.once`), which of the case's modules were loaded, and the kernel's answer."""

    module: Module
    flags: int
    arguments: str
    spent: tuple[str, ...]
    loaded: tuple[str, ...]
    accepted: bool
    errno: str | None
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """One kernel and the loads that were tried on it."""

    package: str
    target: Target
    loads: tuple[Seen, ...]


def save(path: Path, truth: Truth) -> None:
    """Write `truth`, after its loads have been predicted: what that looked at is what is kept of the kernel."""
    target = truth.target
    assert target.config is not None
    assert target.symbols is not None
    verifies = any(seen.errno == "EKEYREJECTED" and not seen.log for seen in truth.loads)
    document = {
        "package": truth.package,
        "target": {
            "release": target.release,
            "version": list(target.version or ()),
            "vendor": target.vendor,
            "vermagic": target.vermagic,
            "arch": target.arch,
            "endianness": target.endianness,
            "this_module_size": target.this_module_size,
            "cmdline": target.cmdline,
            "entry_points": sorted(target.entry_points) if target.entry_points is not None else None,
        },
        "certificates": [
            (one.issuer.hex(), one.serial, one.key_id.hex(), one.key.hex() if one.key and verifies else None)
            for one in target.certificates
        ],
        "all_certificates": target.all_certificates,
        "builtin": [sorted(names) for names in target.builtin] if target.builtin else None,
        "btf": _pack_kernel_btf(target.btf, truth.loads) if target.btf else None,
        "config": {"version": target.config.version_text, "options": dict(sorted(target.config._found.items()))},
        "symvers": _rows(target.symbols, truth.loads),
        "loads": [
            {
                "module": pack(seen.module, with_btf=_about_btf(seen), with_signature=verifies),
                **{
                    name: getattr(seen, name)
                    for name in ("flags", "arguments", "spent", "loaded", "accepted", "errno", "log")
                },
            }
            for seen in truth.loads
        ],
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    path.write_bytes(lzma.compress(text.encode(), preset=9))


def load(path: Path) -> Truth:
    """Read what `save` wrote."""
    document = json.loads(lzma.decompress(path.read_bytes()))
    options = "".join(
        f'CONFIG_{name}="{value}"\n' for name, value in document["config"]["options"].items() if value != "n"
    )
    facts = document["target"]
    version = facts.pop("version")
    places = facts.pop("entry_points", None)
    target = Target(
        **facts,
        version=Version(*version),
        entry_points=frozenset(places) if places is not None else None,
        config=Config(f"# Linux/x {document['config']['version']} Kernel Configuration\n{options}", str(path)),
        symbols=Symbols([Symvers("".join(document["symvers"]).encode(), str(path))]),
        certificates=tuple(
            Certificate(bytes.fromhex(issuer), serial, bytes.fromhex(key_id), bytes.fromhex(key) if key else None)
            for issuer, serial, key_id, key in document["certificates"]
        ),
        all_certificates=document["all_certificates"],
        builtin=Builtin(*map(frozenset, document["builtin"])) if document["builtin"] else None,
        btf=KernelBtf(document["btf"]) if document["btf"] else None,
    )
    loads = tuple(
        Seen(
            unpack(seen["module"]),
            seen["flags"],
            seen.get("arguments", ""),
            *(tuple(seen[name]) for name in ("spent", "loaded")),
            seen["accepted"],
            seen["errno"],
            tuple(seen["log"]),
        )
        for seen in document["loads"]
    )
    return Truth(document["package"], target, loads)


def _rows(symbols: Symbols, loads: Iterable[Seen]) -> list[str]:
    names = {"module_layout"}
    for seen in loads:
        names.update(symbol.name for symbol in seen.module.symbols)
        names.update(export.name for export in seen.module.exports)
    return list(_lines(symbols, sorted(names)))


def _lines(symbols: Symbols, names: Iterable[str]) -> Iterator[str]:
    yield "0x00000000\t__a_kernels_table\tvmlinux\tEXPORT_SYMBOL\t\n"
    for name in names:
        for row in symbols.find(name):
            kind = "EXPORT_SYMBOL_GPL" if row.gpl else "EXPORT_SYMBOL"
            yield f"0x{row.crc:08x}\t{row.name}\t{row.owner}\t{kind}\t{row.namespace}\n"


class KernelBtf(Btf):
    """A kernel's BTF of which only some names and types are known, its length and their number."""

    def __init__(self, packed: dict[str, Any]) -> None:
        super().__init__(b"", "little")
        self.str_len = packed["str_len"]
        strings = bytearray(self.str_len)
        for offset, name in packed["names"]:
            raw = base64.b64decode(name)
            strings[offset : offset + len(raw)] = raw
        self.strings = bytes(strings)
        self.numbers = array("I", [0, 1 << 24, 0] * packed["types"])
        for number, info in packed["infos"]:
            self.numbers[3 * number + 1] = info
        self.places = list(range(0, len(self.numbers) + 1, 3))

    @property
    def whole(self) -> bool:
        return True


def _about_btf(seen: Seen) -> bool:
    return any("BTF" in line for line in seen.log)


def _pack_kernel_btf(btf: Btf, loads: Iterable[Seen]) -> dict[str, Any]:
    """What the BTF of the kept modules refers to in the kernel's."""
    names: set[int] = set()
    for seen in loads:
        if seen.module.btf and _about_btf(seen):
            # every word may be a name's offset; those that are not do no harm
            words = memoryview(seen.module.btf[: len(seen.module.btf) & ~3]).cast("I")
            names.update(word for word in words if word < btf.str_len)
    found = [(offset, btf.strings[offset : btf.strings.index(b"\0", offset) + 1]) for offset in sorted(names)]
    infos = [(number, one.info) for number, one in enumerate(btf.types) if one.kind in ("TYPEDEF", "CONST", "VOLATILE")]
    return {
        "str_len": btf.str_len,
        "types": len(btf.types),
        "names": [(offset, base64.b64encode(name).decode()) for offset, name in found],
        "infos": infos if names else [],
    }


def sections_of(entries: Sequence[Section]) -> Sections:
    """The section table with these entries."""
    names, *columns = zip(*entries) if entries else ((),) * 9
    return Sections(names, columns)


def pack(module: Module, *, with_btf: bool = False, with_signature: bool = False) -> dict[str, Any]:
    """A module's facts as plain JSON values."""
    packed = {field.name: getattr(module, field.name) for field in fields(module) if field.init}
    elf = module.elf
    edges = (elf.names_last_byte, elf.strtab_edges, elf.max_st_name)
    packed["elf"] = [elf.length, elf.raw_header.hex(), elf.bits, elf.endianness, elf.header, list(elf.sections), *edges]
    packed["export_sections"] = sorted(module.export_sections)
    packed["symbols"] = list(module.symbols)
    packed["path"] = Path(module.path).name
    if module.signature is not None:
        packed["signature"] = module.signature._replace(message=_pack_message(module.signature.message, with_signature))
    for name in ("btf", "btf_base"):
        raw = getattr(module, name) if with_btf else None
        packed[name] = None if raw is None else base64.b64encode(raw).decode()
    return packed


def unpack(packed: dict[str, Any]) -> Module:
    """The module that `pack` was given, its path shortened to the file's name."""
    length, raw, bits, endianness, header, sections, last, edges, largest = packed["elf"]
    return Module(
        **{
            **packed,
            "elf": Elf(
                length,
                bytes.fromhex(raw),
                bits,
                endianness,
                Header(*header) if header else None,
                last,
                tuple(edges) if edges else None,  # type: ignore[arg-type]
                largest,
                sections_of([Section(*section) for section in sections]),
            ),
            "modinfo": _pairs(packed["modinfo"]),
            "versions": _pairs(packed["versions"]),
            "versions_ext": _pairs(packed["versions_ext"]),
            "entry_points": _pairs(packed.get("entry_points", ())),
            "parameters": _parameters(packed.get("parameters", ())),
            "symbols": tuple(Symbol(*symbol) for symbol in packed["symbols"]),
            "exports": tuple(Export(*export) for export in packed["exports"]),
            "export_sections": frozenset(packed["export_sections"]),
            "relocations": tuple(
                Relocations(*row[:3], _pairs(row[3]), *(tuple(pair) if pair else None for pair in row[4:]))  # type: ignore[arg-type]
                for row in packed["relocations"]
            ),
            "signature": _signature(packed["signature"]),
            "btf": None if packed["btf"] is None else base64.b64decode(packed["btf"]),
            "btf_base": None if packed["btf_base"] is None else base64.b64decode(packed["btf_base"]),
        }
    )


def _pairs(rows: Sequence[Sequence[Any]] | None) -> Any:
    return None if rows is None else tuple((row[0], row[1]) for row in rows)


def _signature(row: Sequence[Any] | None) -> Signature | None:
    if row is None:
        return None
    fields, *lengths, message = row
    if message is not None:
        *about, signers = message
        message = Message(*about, _signers(signers))
    return Signature(tuple(fields) if fields else None, *lengths, message)  # type: ignore[arg-type]


def _parameters(rows: Sequence[Sequence[Any]] | None) -> tuple[Parameter, ...] | None:
    return None if rows is None else tuple(Parameter(*row) for row in rows)


_RAW = ("issuer", "key_id", "value", "digest")


def _pack_message(message: Message | None, whole: bool) -> Any:
    """Bytes as hexadecimal; signature and digest only if they are to be verified."""
    if message is None:
        return None
    kept = [signer if whole else signer._replace(value=b"", digest=b"") for signer in message.signers]
    signers = [signer._replace(**{name: getattr(signer, name).hex() for name in _RAW}) for signer in kept]
    return message._replace(signers=signers)  # type: ignore[arg-type]


def _signers(rows: Sequence[Sequence[Any]]) -> tuple[Signer, ...]:
    signers = (Signer(*row) for row in rows)
    return tuple(one._replace(**{name: bytes.fromhex(getattr(one, name)) for name in _RAW}) for one in signers)
