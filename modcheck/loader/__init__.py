"""The judge: what a kernel does with a module, from facts alone. No files, no options, no formatting.

The same Module and Target give the same Prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache

from ..errors import ModcheckError
from ..module.facts import Export, Module
from ..target.facts import Target
from ..target.symvers import KERNEL
from .errnos import LOADERS, message
from .facts import Answer, Finding, Load, LogLine, Prediction, Unknown, Verdict
from .stages.elf_format import RULE as ELF_RULE
from .stages.license import is_proprietary
from .stages.symbols import needed_modules
from .walk import NEWEST, stages

__all__ = ["LOADERS", "Finding", "Load", "LogLine", "Prediction", "Unknown", "Verdict", "predict"]

#: rules after whose refusal nothing else of the file means anything to the kernel
_FINAL = {ELF_RULE, "arch", "compression"}


def predict(
    module: Module,
    target: Target,
    *,
    loader: str = "modprobe",
    modules: Sequence[Module] = (),
    loaded: Collection[Module | str] = (),
    force_vermagic: bool = False,
    force_modversion: bool = False,
    ignore: Collection[str] = (),
    already: Collection[str] = (),
) -> Prediction:
    """What the kernel `target` does with `module`.

    :param loader: `modprobe`: modules that the target's tables name as owners, or that are among `modules`, are loaded
        first; `insmod`: only the kernel's own symbols and those of `loaded` are there
    :param modules: the set that `module` belongs to
    :param loaded: modules already loaded: as modules, or as names, whose symbols the target's tables then tell
    :param force_vermagic: as `modprobe --force-vermagic`
    :param force_modversion: as `modprobe --force-modversion`
    :param ignore: rules whose findings do not decide
    :param already: what a kernel prints only once and has printed (`LogLine.once`)
    :returns: the prediction; it does not depend on anything else
    """
    if loader not in LOADERS:
        raise ModcheckError("loader", f"{loader!r} is none of {', '.join(LOADERS)}")
    return _Judge(target, loader, modules, loaded, force_vermagic, force_modversion, ignore, already).judge(module, ())


class _Judge:
    """One target, one way of loading, and the set of modules at hand."""

    def __init__(
        self,
        target: Target,
        loader: str,
        modules: Sequence[Module],
        loaded: Collection[Module | str],
        force_vermagic: bool,
        force_modversion: bool,
        ignore: Collection[str],
        already: Collection[str],
    ) -> None:
        self.target, self.loader = target, loader
        self.force_vermagic, self.force_modversion = force_vermagic, force_modversion
        self.ignore, self.already = frozenset(ignore), frozenset(already)
        self.version = min(target.version or NEWEST, NEWEST, key=lambda version: (version[0], version[1]))
        self.loaded_names = frozenset(one if isinstance(one, str) else one.name for one in loaded)
        self.given = {module.name: module for module in modules if module.name and not module.error}
        present = [one for one in loaded if not isinstance(one, str)]
        if loader == "modprobe":
            present += list(self.given.values())
        self.exports: dict[str, list[Export]] = {}
        for module in present:
            for export in module.exports:
                self.exports.setdefault(export.name, []).append(export)
        self.replaced = {module.name for module in present}
        self.proprietary = frozenset(one.name for one in present if is_proprietary(one, self.version))

    def judge(self, module: Module, above: tuple[str, ...]) -> Prediction:
        """Predict for `module`; `above` are the modules that need it, for modprobe's order."""
        load = self._load(module)
        needs = tuple(name for name in needed_modules(load) if name not in self.loaded_names)
        chain = (*above, module.name)
        dependencies = tuple(
            self.judge(self.given[name], chain)
            for name in needs
            if self.loader == "modprobe" and name in self.given and name not in chain
        )
        prediction = self._walk(load._replace(dependencies=dependencies), needs)
        if needs and self.loader == "modprobe" and prediction.verdict != "refused":
            prediction = replace(prediction, insmod_refuses=True)
        return prediction

    def _load(self, module: Module) -> Load:
        replaced = self.replaced | {module.name}
        symbols = self.target.symbols
        everything = self.loader == "modprobe"

        @cache
        def find(name: str) -> tuple[Export, ...]:
            rows = symbols.find(name) if symbols else ()
            kernel = tuple(row for row in rows if row.owner == KERNEL)
            given = tuple(export for export in self.exports.get(name, ()) if export.owner != module.name)
            others = tuple(
                row
                for row in rows
                if row.owner != KERNEL and row.owner not in replaced and (everything or row.owner in self.loaded_names)
            )
            return kernel + given + others

        return Load(
            opaque=self._opaque(module),
            module=module,
            target=self.target,
            version=self.version,
            find=find,
            loaded=self.loaded_names,
            proprietary=self.proprietary,
            force_vermagic=self.force_vermagic,
            force_modversion=self.force_modversion,
        )

    def _opaque(self, module: Module) -> tuple[str, ...]:
        """Names in `--loaded`, and for modprobe in the module's `depends`, that nothing at hand says the exports of."""
        names = set(self.loaded_names)
        if self.loader == "modprobe":
            names.update((module.info("depends") or "").split(","))
        names -= self.replaced | {"", module.name}
        symbols = self.target.symbols
        return tuple(sorted(name for name in names if symbols is None or not symbols.has_owner(name)))

    def _walk(self, load: Load, needs: tuple[str, ...]) -> Prediction:
        findings: list[Finding] = []
        unchecked: list[Unknown] = []
        lines: list[str] = []
        already = set(self.already)
        refusing: Finding | None = None
        earlier: tuple[str, ...] = ()
        for stage in stages(self.version):
            answers = list(stage(load))
            found = [self._marked(answer) for answer in answers if isinstance(answer, Finding)]
            findings += found
            if refusing is None:
                counting = [finding for finding in found if not finding.ignored]
                lines += _printed(counting, already)
                refusing = _last_refusal(counting)
                if refusing:
                    earlier = tuple(dict.fromkeys(unknown.rule for unknown in unchecked))
            unchecked += [answer for answer in answers if isinstance(answer, Unknown) and answer not in unchecked]
            if any(finding.level == "error" and finding.rule in _FINAL for finding in found):
                break
        unchecked = [unknown for unknown in unchecked if unknown.rule not in self.ignore]
        errno = refusing.errno if refusing else None
        verdict: Verdict = "refused" if refusing else "unknown" if unchecked else "loads"
        return Prediction(
            module=load.module,
            verdict=verdict,
            errno=errno,
            message=message(errno, self.loader) if errno else None,
            insmod_message=message(errno, "insmod") if errno else None,
            log=tuple(lines),
            first=not earlier,
            earlier_unknown=earlier,
            findings=tuple(findings),
            unchecked=tuple(unchecked),
            needs=needs,
            assumed=self._assumed(load, needs),
            compared=_compared(load, unchecked),
            failed_in=str(refusing.details["failed_in"]) if refusing and refusing.rule == "dependency" else None,
        )

    def _marked(self, finding: Finding) -> Finding:
        return replace(finding, ignored=True) if finding.rule in self.ignore else finding

    def _assumed(self, load: Load, needs: tuple[str, ...]) -> tuple[str, ...]:
        assumed = ["empty kernel command line", "no lockdown", "kernel.modules_disabled=0", "no module parameters",
                   "no built-in module of the same name"]  # fmt: skip
        if load.module.signature is not None and load.own_build and load.target.option("MODULE_SIG") == "y":
            assumed.append("the target's own signed modules are signed by its key")
        version = self.target.version
        if version is not None and version[:2] > NEWEST[:2]:
            assumed.append(
                f"kernel {version} judges like {NEWEST.major}.{NEWEST.minor}, the newest that modcheck knows"
            )
        installed = [name for name in needs if name not in self.given]
        if installed and self.loader == "modprobe":
            assumed.append(f"installed there, and of that build: {', '.join(installed)}")
        return tuple(assumed)


def _printed(findings: Sequence[Finding], already: set[str]) -> list[str]:
    """The lines of one stage in their order, less those that the kernel prints only once and has printed."""
    lines = sorted((line for finding in findings for line in finding.log), key=lambda line: line.order)
    shown = []
    for line in lines:
        if line.once is None or line.once not in already:
            shown.append(line.text)
        if line.once is not None:
            already.add(line.once)
    return shown


def _last_refusal(findings: Sequence[Finding]) -> Finding | None:
    """The finding whose error the stage returns: that of its last line."""
    errors = [finding for finding in findings if finding.level == "error"]
    return max(errors, key=lambda finding: max((line.order for line in finding.log), default=0), default=None)


def _compared(load: Load, unchecked: Sequence[Answer]) -> bool:
    """Whether vermagic or CRCs could be compared."""
    rules = {unknown.rule for unknown in unchecked if isinstance(unknown, Unknown)}
    crcs = bool(load.target.modversions) and "module-layout" not in rules and load.module.versions is not None
    return "vermagic" not in rules or crcs
