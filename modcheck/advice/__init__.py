"""Why a finding came about and what mends it, for the commonest causes: words over findings, no I/O.

What is offered mends the cause. Nothing that hides the fault (a forged vermagic, --force) is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..loader.facts import Finding, Prediction
from ..target.facts import Target

__all__ = ["advise"]

Advice = tuple[str, tuple[str, ...]]


def advise(prediction: Prediction, target: Target) -> Prediction:
    """The prediction with `why` and `fix` filled in where the cause can be named."""
    findings = []
    for finding in prediction.findings:
        function = _BY_RULE.get(finding.rule)
        if function and finding.level == "error":
            why, fix = function(finding, prediction, target)
            finding = replace(finding, why=why, fix=fix)
        findings.append(finding)
    return replace(prediction, findings=tuple(findings))


def _release_suffix(ours: str, theirs: str) -> str | None:
    """What `theirs` has behind `ours`, or None where it does not begin with it."""
    return theirs[len(ours) :] if theirs.startswith(ours) and theirs != ours else None


_OPTIONS = {
    "SMP": "CONFIG_SMP",
    "preempt": "CONFIG_PREEMPT_BUILD (CONFIG_PREEMPT before 5.16)",
    "preempt_rt": "CONFIG_PREEMPT_RT",
    "mod_unload": "CONFIG_MODULE_UNLOAD",
    "modversions": "CONFIG_MODVERSIONS",
    "thumb2": "CONFIG_THUMB2_KERNEL",
    "p2v8": "CONFIG_ARM_PATCH_PHYS_VIRT",
}


def _vermagic(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    ours = str(finding.details.get("module") or "")
    theirs = str(finding.details.get("target") or target.release or "")
    if not ours.split() or not theirs.split():
        return "vermagic is missing: modpost did not make the module", ("build it with the kernel's own kbuild",)
    words, kernel_words = ours.split(), theirs.split()
    different = set(words[1:]) ^ set(kernel_words[1:])
    if finding.details.get("target") and different:
        options = [f"{word}: {_OPTIONS[word]}" for word in sorted(different) if word in _OPTIONS]
        why = "the module was built in a tree with another .config" + (f" ({'; '.join(options)})" if options else "")
        return why, (
            "copy the kernel's own .config (on the board: zcat /proc/config.gz) into the build tree",
            "make olddefconfig modules_prepare, then build the module again",
        )
    release, kernel_release = words[0], kernel_words[0]
    suffix = _release_suffix(release, kernel_release)
    compared = "without CRCs on both sides the kernel compares all of it"
    if suffix:
        return f"the build tree's release lacks the suffix {suffix!r} ({compared})", (
            f'scripts/config --set-str LOCALVERSION "{suffix}"',
            "make olddefconfig modules_prepare, then build the module again",
        )
    suffix = _release_suffix(kernel_release, release)
    if suffix in ("+", "-dirty") or (suffix or "").startswith("-g"):
        return f"the build tree's git state added {suffix!r} to its release ({compared})", (
            "make LOCALVERSION= modules_prepare, and build the module with LOCALVERSION= as well",
        )
    if suffix:
        return f"the build tree's release has the suffix {suffix!r}, the kernel's has not ({compared})", (
            'scripts/config --set-str LOCALVERSION ""',
            "make olddefconfig modules_prepare, then build the module again",
        )
    return f"the module was built for {release}, another kernel than {kernel_release} ({compared})", (
        f"build it against the headers of {kernel_release}",
    )


def _module_layout(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    if prediction.module.versions is None:
        return "the module was built in a tree without CONFIG_MODVERSIONS, this kernel has it", (
            "copy the kernel's own .config (on the board: zcat /proc/config.gz) into the build tree",
            "make olddefconfig modules_prepare, put the kernel's Module.symvers there, build the module again",
        )
    if finding.details.get("module_crc") is None:
        return "the build tree had no Module.symvers (`make modules_prepare` alone makes none)", (
            "put the kernel's Module.symvers into the build tree (from its headers package, or a full `make`)",
            "build the module again, without KBUILD_MODPOST_WARN",
        )
    ours, theirs = prediction.module.vermagic or "", target.vermagic or ""
    if ours and theirs and ours.split()[0] != theirs.split()[0]:
        why = f"the module was built for {ours.split()[0]}, this kernel is {theirs.split()[0]}"
    else:
        why = "the module was built with another .config, another source or another Module.symvers than this kernel"
    return why, (
        f"build it again in the tree of {target.release or 'this kernel'}, with its .config and Module.symvers",
    )


def _symbol_version(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    symbols = finding.details["symbols"]
    if any(other.rule == "module-layout" and other.level == "error" for other in prediction.findings):
        return "the same cause as module-layout's", ()
    owners = _owners(symbols)
    if len(owners) == 1 and owners[0] != "vmlinux":
        return f"{owners[0]} was built from another source than the one that the module was built against", (
            f"build again with KBUILD_EXTRA_SYMBOLS=<{owners[0]}'s tree>/Module.symvers",
        )
    if all(symbol["module_crc"] is None for symbol in symbols):
        return "these symbols had no CRC when the module was built: their Module.symvers was not given", (
            "build again with KBUILD_EXTRA_SYMBOLS=<the exporter's tree>/Module.symvers",
        )
    return "a structure or prototype behind these symbols differs between the two builds", (
        "build the module again with this kernel's source, .config and Module.symvers",
    )


def _unknown_symbol(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    symbols = finding.details["symbols"]
    owners = [owner for owner in _owners(symbols) if owner]
    absent = [symbol["symbol"] for symbol in symbols if not symbol["owner"]]
    fix = [f"load first: {' '.join(owners)} (modprobe does it)"] if owners else []
    why = f"exported by modules that are not loaded: {', '.join(owners)}" if owners else ""
    if absent:
        why += ("; " if why else "") + f"in no table that was given: {', '.join(absent[:5])}"
        why += " …" if len(absent) > 5 else ""
        fix.append("if another module exports it: --symvers with that module's Module.symvers, or give its .ko as well")
        fix.append("if not: the kernel lacks the option that provides it, or has it under another name")
    return why, tuple(fix)


def _gpl_only(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    return "for a module that is not GPL-compatible the kernel treats GPL-only symbols as missing", (
        'MODULE_LICENSE must be, to the letter, "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", '
        '"Dual MIT/GPL" or "Dual MPL/GPL"; otherwise do without these symbols',
    )


def _namespace(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    names = sorted({str(symbol["namespace"]) for symbol in finding.details["symbols"]})
    quoted = target.version is not None and target.version.since(6, 13)
    imports = tuple(f'MODULE_IMPORT_NS("{name}");' if quoted else f"MODULE_IMPORT_NS({name});" for name in names)
    return "the source does not declare the namespace (modpost says so, too)", (
        f"add to the source: {' '.join(imports)}",
    )


def _arch(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    return "built with another ARCH= or CROSS_COMPILE= than the kernel", (
        "make ARCH=… CROSS_COMPILE=… as the kernel was built; `file` on a module of the board shows what it takes",
    )


def _module_struct(finding: Finding, prediction: Prediction, target: Target) -> Advice:
    return "struct module depends on .config: BTF (is pahole installed?), LIVEPATCH, KPROBES, tracing, …", (
        "build in a tree with the kernel's .config, prepared with the same tools; install dwarves (pahole)",
    )


def _owners(symbols: Iterable[dict[str, str | None]]) -> list[str]:
    return list(dict.fromkeys(symbol["owner"] or "" for symbol in symbols))


_BY_RULE = {
    "arch": _arch,
    "gpl-only-symbol": _gpl_only,
    "module-layout": _module_layout,
    "module-struct": _module_struct,
    "namespace": _namespace,
    "symbol-version": _symbol_version,
    "unknown-symbol": _unknown_symbol,
    "vermagic": _vermagic,
}
