"""JSON, schema 1: the documents of `check`, `show` and `target`. Within a schema fields are only added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..loader.causes import Cause, TypeChange
from ..loader.facts import Finding, Prediction
from ..module.facts import Export, Module, Parameter
from ..module.signature import Signature
from ..target.builds import Build, Tie
from ..target.facts import Target
from . import Context, Result, Totals

SCHEMA = 1


def dump(document: Mapping[str, Any]) -> str:
    """The document as text: indented, ASCII, ending in a newline."""
    return json.dumps(document, indent=1) + "\n"


def crc(value: int | None) -> str | None:
    """A CRC as the schema has it, `0x%08x`."""
    return None if value is None else f"0x{value:08x}"


def entry(result: Result, context: Context) -> str:
    """One of `modules`, indented as it stands there."""
    return "  " + json.dumps(_module_entry(result), indent=1).replace("\n", "\n  ")


def document(entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
    """What `check` prints."""
    head = {
        **_head(context.loader, context.modcheck_version),
        "target": target_object(context.target),
        "assumed": list(totals.assumed),
        "summary": {
            "modules": totals.modules, **totals.verdicts, "errors": totals.errors, "ignored": totals.ignored,
        },
    }  # fmt: skip
    yield json.dumps(head, indent=1).removesuffix("\n}") + ',\n "modules": ['
    separator = "\n"
    for one in entries:
        yield separator + one
        separator = ",\n"
    yield "\n ]\n}\n"


def failure(reason: str, loader: str, modcheck_version: str) -> str:
    """A document with `error`: why nothing could be predicted at all."""
    return dump({**_head(loader, modcheck_version), "error": reason})


def _head(loader: str, modcheck_version: str) -> dict[str, Any]:
    return {"schema": SCHEMA, "modcheck": modcheck_version, "loader": loader}


def _module_entry(one: Result) -> dict[str, Any]:
    if not isinstance(one, Prediction):
        path, reason = one
        return {"path": path, "error": f"{path}: {reason}"}
    entry: dict[str, Any] = {"path": one.path, "name": one.name}
    if one.error:
        entry["error"] = f"{one.path}: {one.error}"
    entry.update(verdict=one.verdict, first=one.first)
    if one.earlier_unknown:
        entry["earlier_unknown"] = list(one.earlier_unknown)
    entry.update(errno=one.errno, message=one.message, insmod_message=one.insmod_message, log=list(one.log))
    if one.failed_in:
        entry["failed_in"] = one.failed_in
    entry["needs"] = list(one.needs)
    entry["causes"] = [_cause(cause) for cause in one.causes]
    if one.force:
        entry["force"] = one.force
    if one.fetch:
        entry["fetch"] = [
            {"file": found.file, "option": found.option, "decides": list(found.decides)} for found in one.fetch
        ]
    entry["findings"] = [_finding(finding) for finding in one.findings]
    entry["unchecked"] = [
        {"rule": unknown.rule, "needs": unknown.needs, **({"ignored": True} if unknown.ignored else {})}
        for unknown in one.unchecked
    ]
    return entry


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "cause": cause.name,
        "confidence": cause.confidence,
        "why": cause.why,
        "evidence": list(cause.evidence),
        "fix": list(cause.fix),
        "explains": list(cause.explains),
        "types": [type_change(one) for one in cause.types],
    }


def type_change(one: TypeChange) -> dict[str, Any]:
    """A type that differs, as `check` and `diff` show it."""
    return {
        "type": one.type,
        "member": one.member or None,
        "change": one.change,
        "by_way_of": one.by_way_of or None,
        "symbols": list(one.symbols),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "rule": finding.rule,
        "level": finding.level,
        "summary": finding.summary,
        "errno": finding.errno,
        "log": [line.text for line in finding.log],
        "details": _plain(finding.details),
        "why": finding.why,
        "fix": list(finding.fix),
    }
    if finding.ignored:
        found["ignored"] = True
    return found


def _plain(value: Any, key: str = "") -> Any:
    """Details with their CRCs as the schema writes them."""
    if isinstance(value, Mapping):
        return {name: _plain(item, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return crc(value) if key.endswith("crc") and isinstance(value, int) else value


def target_object(target: Target) -> dict[str, Any]:
    """A target with all its facts."""
    return {
        "release": target.release,
        "version": str(target.version) if target.version else None,
        "vendor": target.vendor,
        "vermagic": target.vermagic,
        "arch": target.arch,
        "endianness": target.endianness,
        "modversions": target.modversions,
        "symbols": target.symbols.count if target.symbols else None,
        "this_module_size": target.this_module_size,
        "btf": target.btf is not None,
        "certificates": len(target.certificates),
        "builtin": len(target.builtin.modules) if target.builtin else None,
        "cmdline": target.cmdline,
        "lockdown": target.lockdown,
        "sig_enforce": target.sig_enforce,
        "modules_disabled": target.modules_disabled,
        "build": _build(target.build),
        "built_against": _build(target.built_against),
        "tied": _tied(target.tied),
        "sources": dict(target.sources),
        "notes": list(target.notes),
    }


def _build(build: Build | None) -> dict[str, Any] | None:
    """What identifies a build."""
    if build is None:
        return None
    names = ("standing", "release", "version", "banner", "build_id", "vermagic", "arch", "this_module_size")
    facts = {name: getattr(build, name) for name in names}
    return {"sources": list(build.sources), **facts, "module_layout": crc(build.module_layout)}


def _tied(tied: Tie | None) -> dict[str, Any] | None:
    """What ties a table to the kernel that runs, and how many of its symbols are proven."""
    if tied is None:
        return None
    return {
        "state": tied.state,
        "table": tied.table,
        "by": list(tied.by),
        "proves": "all" if tied.whole else len(tied.names),
        "against": list(tied.against),
    }


def target_document(target: Target) -> dict[str, Any]:
    """What `target` prints."""
    return {"schema": SCHEMA, "target": target_object(target)}


def profile_document(target: Target, modcheck_version: str) -> dict[str, Any]:
    """What `target -o` saves."""
    from ..target.profile import FORM, data_of

    return {**target_document(target), "profile": FORM, "modcheck": modcheck_version, "data": data_of(target)}


def show_document(modules: Iterable[Module | tuple[str, str]]) -> dict[str, Any]:
    """What `show` prints."""
    return {"schema": SCHEMA, "modules": [_show_entry(module) for module in modules]}


def _show_entry(module: Module | tuple[str, str]) -> dict[str, Any]:
    if not isinstance(module, Module):
        return {"path": module[0], "error": f"{module[0]}: {module[1]}"}
    entry: dict[str, Any] = {"path": module.path}
    if module.error:
        entry["error"] = f"{module.path}: {module.error}"
    versions = dict(reversed(module.versions or ()))
    versions.update(reversed(module.versions_ext or ()))
    entry.update(
        name=module.name,
        arch=module.arch,
        machine=module.machine,
        bits=module.elf.bits,
        endianness=module.elf.endianness,
        compression=module.compression,
        vermagic=module.vermagic,
        modinfo=[list(pair) for pair in module.modinfo],
        versions=_versions(module.versions),
        versions_ext=_versions(module.versions_ext),
        undefined=[
            {"name": symbol.name, "weak": symbol.bind == 2, "crc": crc(versions.get(symbol.name))}
            for symbol in module.undefined
        ],
        exports=[export_object(export) for export in module.exports],
        parameters=_parameters(module.parameters),
        this_module_size=module.this_module_size,
        signature=_signature(module.signature),
    )
    return entry


def export_object(export: Export) -> dict[str, Any]:
    """An export, as `show` and `diff` have it; whose it is goes without saying in `show`."""
    return {"name": export.name, "crc": crc(export.crc), "gpl": export.gpl, "namespace": export.namespace or None}


def _versions(versions: tuple[tuple[str, int], ...] | None) -> list[list[str | None]] | None:
    return None if versions is None else [[name, crc(value)] for name, value in versions]


def _parameters(parameters: tuple[Parameter, ...] | None) -> list[dict[str, Any]] | None:
    if parameters is None:
        return None
    return [{"name": one.name, "type": one.type or None, "array": one.array, "max": one.max} for one in parameters]


def _signature(signature: Signature | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    fields = signature.fields
    kind = {1: "X509", 2: "PKCS#7"}.get(fields[2], str(fields[2])) if fields else None
    signers = [
        {
            "name": signer.name,
            "serial": f"{signer.serial:x}" if signer.issuer else None,
            "key_id": signer.key_id.hex() or None,
            "hash": signer.hash,
            "algorithm": signer.algorithm,
        }
        for signer in signature.signers
    ]
    return {
        "id_type": kind,
        "sig_len": signature.sig_len,
        "trailer_length": signature.trailer_length,
        "signers": signers if signature.message else None,
    }
