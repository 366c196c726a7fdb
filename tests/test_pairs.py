"""For each rule two modules: one that trips it, and one that just does not.

Real modules; where none that trips can be had, a field of a real one is rewritten (rewrite.py).
"""

from __future__ import annotations

import lzma
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES
from oracle.signing import signed
from rewrite import (
    with_crc,
    with_modinfo,
    with_relocation_type,
    with_section_flags,
    with_section_name,
    with_symbol,
)
from test_judge import at, with_config
from truth import load

from modcheck import Module, Prediction, Target, predict, read_module, read_target
from modcheck.advice.rules import RULES
from modcheck.files import read_plain
from modcheck.module import parse_module
from modcheck.target.builtin import Builtin

DATA = Path(__file__).parent / "data"
PLAIN = read_target(SAMPLES / "rk3588/tree", vendor="upstream")
CRCS = read_target(SAMPLES / "rk3588-modversions/tree", vendor="upstream")
ARM64 = read_target(SAMPLES / "debian-6.1-arm64/tree")
DEBIAN = read_target(SAMPLES / "debian-6.1-amd64/tree")
NAMES = frozenset({"chrdevbase"})

Change = Callable[[bytes], bytes]


def sample(path: str) -> Module:
    return read_module(SAMPLES / path)


def real(folder: str, name: str = "*") -> Module:
    return read_module(next((DATA / "modules").glob(f"{folder}*/{name}.ko.xz")))


def changed(module: Module, *changes: Change) -> Module:
    """The module whose file is changed so."""
    data = read_plain(module.path)
    for change in changes:
        data = change(data)
    return parse_module(data, module.path)


@dataclass(frozen=True)
class Side:
    """One load: a module, a target, and what else is asked."""

    module: Module
    target: Target = PLAIN
    options: dict[str, Any] = field(default_factory=dict)

    def predict(self) -> Prediction:
        return predict(self.module, self.target, **self.options)


CHRDEVBASE = sample("rk3588/chrdevbase.ko")
EXPORT = sample("rk3588/sample_export.ko")
IMPORT = sample("rk3588/sample_import.ko")
PROPRIETARY = sample("rk3588/sample_proprietary.ko")
WITH_CRCS = sample("rk3588-modversions/chrdevbase.ko")
EXPORT_CRCS = sample("rk3588-modversions/sample_export.ko")
INSMOD = {"loader": "insmod"}
SIZED = replace(at(PLAIN, 6, 4, 0), this_module_size=CHRDEVBASE.this_module_size)
KALLSYMS = with_config(SIZED, KALLSYMS="y")
RWX = with_config(PLAIN, STRICT_MODULE_RWX="y")
DECOMPRESSING = with_config(SIZED, MODULE_DECOMPRESS="y", MODULE_COMPRESS_XZ="y")
SIGNING = with_config(PLAIN, MODULE_SIG="y", MODULE_SIG_FORCE="y", SYSTEM_TRUSTED_KEYRING="y")


def truth(rule: str) -> Callable[[], tuple[Side, Side]]:
    """Two loads that a booted kernel was asked for: one that it refused for this rule, one that it took."""

    def sides() -> tuple[Side, Side]:
        for path in sorted((DATA / "truth").glob("mutants_newest*.json.xz")):
            found = load(path)
            asked = [(seen, Side(seen.module, found.target, {**INSMOD, "already": seen.spent})) for seen in found.loads]
            for seen, side in asked:
                prediction = None if seen.accepted else side.predict()
                if prediction and [one.rule for one in prediction.findings if one.level == "error"] == [rule]:
                    return side, next(other for good, other in asked if good.accepted)
        raise AssertionError(f"no such load: {rule}")

    return sides


def packed(check: int) -> Module:
    """A sample in an .xz file with that check over its bytes."""
    with tempfile.NamedTemporaryFile(suffix=".ko.xz") as file:
        file.write(lzma.compress(read_plain(CHRDEVBASE.path), check=check))
        file.flush()
        return read_module(file.name)


def in_folder(release: str) -> Module:
    return replace(CHRDEVBASE, path=f"out/lib/modules/{release}/updates/chrdevbase.ko")


#: rule: the module that trips it, and the one that just does not
PAIRS: dict[str, tuple[Side, Side] | Callable[[], tuple[Side, Side]]] = {
    "already-loaded": (
        Side(CHRDEVBASE, options={**INSMOD, "loaded": ["chrdevbase"]}),
        Side(CHRDEVBASE, options={**INSMOD, "loaded": ["chrdevbas"]}),
    ),
    "arch": (Side(CHRDEVBASE, DEBIAN), Side(sample("debian-6.1-amd64/chrdevbase.ko"), DEBIAN)),
    "arch-sections": (
        Side(changed(real("arm64-6.1.0-56"), partial(with_section_name, old=".init.plt", new=".init_plt")), ARM64),
        Side(real("arm64-6.1.0-56"), ARM64),
    ),
    "blacklist": (
        Side(CHRDEVBASE, replace(PLAIN, cmdline="module_blacklist=other,chrdevbase")),
        Side(CHRDEVBASE, replace(PLAIN, cmdline="module_blacklist=chrdev,chrdevbase2")),
    ),
    "btf": truth("btf"),
    "builtin-clash": (
        Side(CHRDEVBASE, replace(PLAIN, builtin=Builtin(NAMES, NAMES, frozenset(), NAMES))),
        Side(CHRDEVBASE, replace(PLAIN, builtin=Builtin(NAMES, NAMES, frozenset(), frozenset()))),
    ),
    "common-symbol": (
        Side(changed(CHRDEVBASE, partial(with_symbol, name="_printk", shndx=0xFFF2))),
        Side(CHRDEVBASE),
    ),
    "compression": lambda: (
        Side(packed(lzma.CHECK_CRC64), DECOMPRESSING),
        Side(packed(lzma.CHECK_CRC32), DECOMPRESSING),
    ),
    "dependency": (
        Side(IMPORT, options={"modules": [changed(EXPORT, partial(with_modinfo, vermagic="6.1"))]}),
        Side(IMPORT, options={"modules": [EXPORT, IMPORT]}),
    ),
    "depmod": (Side(in_folder("6.1.176")), Side(in_folder("6.1.176-rockchip-rk3588"))),
    "duplicate-export": (
        Side(replace(EXPORT, name="other"), options={**INSMOD, "loaded": [EXPORT]}),
        Side(replace(EXPORT, name="other"), options={**INSMOD, "loaded": [CHRDEVBASE]}),
    ),
    "elf-format": (
        Side(changed(CHRDEVBASE, lambda data: data[:-1])),
        Side(changed(CHRDEVBASE, lambda data: data + b"\0")),
    ),
    "export-versions": (
        Side(changed(EXPORT_CRCS, partial(with_section_name, old="__kcrctab_gpl", new="__kcrctab_gp")), CRCS),
        Side(EXPORT_CRCS, CRCS),
    ),
    "gpl-only-symbol": (
        Side(PROPRIETARY),
        Side(changed(PROPRIETARY, partial(with_modinfo, license="Dual MIT/GPL"))),
    ),
    "license": (Side(CHRDEVBASE), Side(changed(CHRDEVBASE, partial(with_modinfo, intree="Y")))),
    "livepatch": (
        Side(changed(CHRDEVBASE, partial(with_modinfo, livepatch="Y"))),
        Side(changed(CHRDEVBASE, partial(with_modinfo, livepatcH="Y"))),
    ),
    "module-layout": (
        Side(changed(WITH_CRCS, partial(with_crc, name="module_layout", crc=1)), CRCS),
        Side(WITH_CRCS, CRCS),
    ),
    "module-struct": (
        Side(CHRDEVBASE, replace(SIZED, this_module_size=(CHRDEVBASE.this_module_size or 0) + 64)),
        Side(CHRDEVBASE, SIZED),
    ),
    "module-support": (
        Side(CHRDEVBASE, replace(PLAIN, cmdline="nomodule")),
        Side(CHRDEVBASE, replace(PLAIN, cmdline="-- nomodule")),
    ),
    "namespace": (
        Side(sample("rk3588/sample_no_import.ko"), options={"modules": [EXPORT]}),
        Side(sample("rk3588/sample_namespace.ko"), options={"modules": [EXPORT]}),
    ),
    "parameter": (
        Side(real("amd64-6.1.0-56", "memory-*"), DEBIAN, {"arguments": "priority=4294967296"}),
        Side(real("amd64-6.1.0-56", "memory-*"), DEBIAN, {"arguments": "priority=2147483647"}),
    ),
    "proprietary-taint": (
        Side(
            IMPORT,
            options={"modules": [changed(EXPORT, partial(with_modinfo, license="Proprietary"))]},
        ),
        Side(IMPORT, options={"modules": [EXPORT]}),
    ),
    "protected-symbol": (
        Side(CHRDEVBASE, with_config(at(PLAIN, 6, 1, 0), MODULE_SIG_PROTECT="y", MODULE_SIG="y")),
        Side(CHRDEVBASE, with_config(at(PLAIN, 6, 1, 0), MODULE_SIG="y")),
    ),
    "relocation": (
        Side(changed(CHRDEVBASE, partial(with_relocation_type, section=".rela.text", kind=281))),
        Side(CHRDEVBASE),
    ),
    "signature": (
        Side(CHRDEVBASE, SIGNING),
        Side(changed(CHRDEVBASE, signed), with_config(SIGNING, MODULE_SIG_FORCE="n")),
    ),
    "symbol-version": (
        Side(changed(WITH_CRCS, partial(with_crc, name="cdev_add", crc=0x44D8D846)), CRCS),
        Side(changed(WITH_CRCS, partial(with_crc, name="cdev_add", crc=0x44D8D845)), CRCS),
    ),
    "sysfs": (
        Side(changed(CHRDEVBASE, partial(with_section_name, old=".init.text", new=".text")), KALLSYMS),
        Side(CHRDEVBASE, KALLSYMS),
    ),
    "unknown-symbol": (
        Side(changed(CHRDEVBASE, partial(with_symbol, name="cdev_add", renamed="cdev_adD"))),
        Side(CHRDEVBASE),
    ),
    "vermagic": (
        Side(sample("rk3588/no-suffix/chrdevbase.ko")),
        Side(sample("rk3588-modversions/no-suffix/chrdevbase.ko"), CRCS),
    ),
    "wx-section": (
        Side(changed(CHRDEVBASE, partial(with_section_flags, name=".text", flags=7)), RWX),
        Side(changed(CHRDEVBASE, partial(with_section_flags, name=".text", flags=6)), RWX),
    ),
}  # fmt: skip


def found(prediction: Prediction, rule: str) -> list[str]:
    """What is said of a rule: the levels of its findings that matter, and `unknown`."""
    levels = [one.level for one in prediction.findings if one.rule == rule and (one.log or one.level != "note")]
    return levels + ["unknown" for one in prediction.unchecked if one.rule == rule]


@pytest.mark.parametrize("rule", sorted(PAIRS))
def test_one_trips_and_one_just_does_not(rule: str) -> None:
    pair = PAIRS[rule]
    trips, passes = pair() if callable(pair) else pair
    tripped, passed = trips.predict(), passes.predict()
    levels = found(tripped, rule)
    assert levels
    assert ("error" in levels) == (tripped.verdict == "refused")
    assert found(passed, rule) == []
    assert passed.verdict != "refused", passed.findings


def test_every_rule_has_a_pair() -> None:
    assert set(PAIRS) == set(RULES)


@pytest.mark.parametrize(
    ("version", "expected"),
    [((6, 1, 176), []), ((6, 12, 117), ["error"]), ((6, 12, 20), ["unknown"]), ((7, 3, 0), ["error"])],
)
def test_arm64s_second_trampoline(version: tuple[int, int, int], expected: list[str]) -> None:
    """A module of 6.1 has but one; newer kernels want two."""
    target = with_config(at(ARM64, *version), DYNAMIC_FTRACE="y", ARM64_MODULE_PLTS="y")
    assert found(predict(real("arm64-6.1.0-56"), replace(target, vermagic="other")), "arch-sections") == expected
