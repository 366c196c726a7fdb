"""Text for `show` and `target`: facts in the order in which people ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..module.facts import Module, Parameter
from ..module.signature import Signature
from ..target.facts import Symbols, Target
from .style import Style
from .words import tie_lines

#: how many rows of a table are shown without -v
SHOWN = 12


def show_report(modules: Iterable[Module], style: Style, *, verbose: bool = False) -> str:
    """What each module declares."""
    return "\n".join(_module(module, style, verbose) for module in modules)


def _module(module: Module, style: Style, verbose: bool) -> str:
    order = f"{module.elf.bits}-bit {module.elf.endianness}-endian"
    lines = [f"{style.strong(module.path)}: {module.name or '(no name)'}"]
    facts = [
        ("architecture", f"{module.arch or 'unknown'} ({module.machine}, {order})"),
        ("vermagic", module.vermagic if module.vermagic is not None else "none"),
        ("license", ", ".join(value for key, value in module.modinfo if key == "license") or "none"),
        ("depends", module.info("depends") or "nothing"),
        ("imports namespaces", ", ".join(sorted(module.import_namespaces)) or "none"),
        ("struct module", f"{module.this_module_size} bytes" if module.this_module_size is not None else "none"),
        ("parameters", _parameters(module)),
        ("CRCs", _versions(module)),
        ("signature", _signature(module.signature)),
    ]
    lines += [f"  {name:<18} {value}" for name, value in facts]
    others = [pair for pair in module.modinfo if pair[0] not in ("vermagic", "license", "depends", "import_ns")]
    lines += [f"  {key:<18} {value}" for key, value in (others if verbose else others[:SHOWN])]
    lines += _cut(others, verbose)
    crcs = {**dict(reversed(module.versions or ())), **dict(reversed(module.versions_ext or ()))}
    undefined = [
        f"{_crc(crcs.get(symbol.name))}  {symbol.name}{' (weak)' if symbol.bind == 2 else ''}"
        for symbol in module.undefined
    ]
    lines += _list(f"imports {len(undefined)} symbols", undefined, verbose)
    exports = [
        f"{_crc(export.crc)}  {export.name}{' (GPL)' if export.gpl else ''}"
        + (f" in namespace {export.namespace}" if export.namespace else "")
        for export in module.exports
    ]
    lines += _list(f"exports {len(exports)} symbols", exports, verbose)
    return "\n".join(lines) + "\n"


def _versions(module: Module) -> str:
    if module.versions is None and module.versions_ext is None:
        return "none (no __versions): built without CONFIG_MODVERSIONS"
    parts = [f"{len(module.versions)} in __versions"] if module.versions is not None else []
    parts += [f"{len(module.versions_ext)} extended"] if module.versions_ext is not None else []
    return ", ".join(parts)


def _crc(value: int | None) -> str:
    return "-" * 10 if value is None else f"0x{value:08x}"


def _parameters(module: Module) -> str:
    if module.parameters is None:
        return "of an older kind, not read"
    return ", ".join(f"{one.name} ({_kind(one)})" for one in module.parameters) or "none"


def _kind(one: Parameter) -> str:
    kind = one.type or "its own kind"
    return f"up to {one.max} of {kind}" if one.array else kind


def _signature(signature: Signature | None) -> str:
    if signature is None:
        return "none"
    names = ", ".join(f"{signer.name} ({signer.algorithm}, {signer.hash})" for signer in signature.signers)
    return f"{signature.sig_len} bytes{', by ' if names else ''}{names}"


def _list(title: str, rows: Sequence[str], verbose: bool) -> list[str]:
    shown = rows if verbose else rows[:SHOWN]
    return [f"  {title}{':' if rows else ''}", *(f"    {row}" for row in shown), *_cut(rows, verbose)]


def _cut(rows: Sequence[object], verbose: bool) -> list[str]:
    return [] if verbose or len(rows) <= SHOWN else [f"    … and {len(rows) - SHOWN} more (-v shows all)"]


def _certificates(target: Target) -> str | None:
    found = target.certificates
    if not found:
        return None
    rest = "" if target.all_certificates else ", and perhaps others"
    without = sum(one.key is None for one in found)
    return f"{len(found)}{f' ({without} without the key)' if without else ''}{rest}"


def _of_what(symbols: Symbols) -> str:
    """Which part of all exports a kernel's symbols are; empty where they are all."""
    if symbols.complete:
        return ""
    if symbols.has_kernel:
        return ", and it is cut off" if symbols.cut else ", the kernel's own alone"
    return (
        ", the kernel's own as far as its modules use them" if symbols.inferred else ", none of them the kernel's own"
    )


def target_report(target: Target, style: Style) -> str:
    """Every fact of the target with its source; what is not known is said so."""
    symbols = target.symbols
    states = {True: "on", False: "off", None: None}
    rows = [
        ("release", target.release, "release"),
        ("banner", target.build.banner if target.build else None, "banner"),
        ("build id", target.build.build_id if target.build else None, "build id"),
        ("version", str(target.version) if target.version else None, "version"),
        ("vendor", target.vendor, "vendor"),
        ("vermagic", target.vermagic, "vermagic"),
        ("architecture", target.arch, "arch"),
        ("byte order", target.endianness, "arch"),
        ("CONFIG_MODVERSIONS", states[target.modversions], "config"),
        ("symbols", f"{symbols.count}{_of_what(symbols)}" if symbols else None, "symbols"),
        ("struct module", f"{target.this_module_size} bytes" if target.this_module_size else None, "this_module_size"),
        ("type information", f"{len(target.btf.data)} bytes" if target.btf else None, "btf"),
        ("certificates", _certificates(target), "certificates"),
        ("built in", f"{len(target.builtin.modules)} modules" if target.builtin else None, "builtin"),
        ("command line", target.cmdline, "cmdline"),
        ("lockdown", target.lockdown, "lockdown"),
        ("config", target.config.path if target.config else None, "config"),
    ]
    lines = []
    for name, value, fact in rows:
        source = target.sources.get(fact) if value is not None else None
        lines.append(f"{name:<19} {value if value is not None else 'unknown'}")
        if source and source != value:
            lines.append(f"{'':<19} from {source}")
    lines += [f"{'' if place else 'build':<19} {text}" for place, text in enumerate(tie_lines(target))]
    lines += [f"{style.warning('note')}: {note}" for note in target.notes]
    return "\n".join(lines) + "\n"
