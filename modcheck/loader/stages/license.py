"""`license` and the other taints that a module's modinfo brings: none refuses, most write a line.

`check_modinfo()`, `module_augment_kernel_taints()` and `license_is_gpl_compatible()` of kernel/module/main.c and
include/linux/license.h, 2.6.11 to 7.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import Module
from ...target.facts import Target
from ...version import Version
from ..concerns import concerns
from ..facts import Answer, Finding, Load, line
from .force import DEBUG_LOCKING

RULE = "license"

#: what MODULE_LICENSE() must say, to the letter, for a module to use GPL-only symbols
GPL_COMPATIBLE = ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
_LIARS = ("driverloader", "lve")
_NAMED = ("ndiswrapper", *_LIARS)


def is_proprietary(module: Module, version: Version) -> bool:
    """Whether the kernel takes the module for a proprietary one (taint P), which may use no GPL-only symbols."""
    license_ = module.info("license")
    compatible = license_ in GPL_COMPATIBLE and (license_ != "Dual MIT/GPL" or version.since(2, 6, 12))
    return not compatible or module.name in _LIARS


@concerns((4, 4), modules=lambda module: module.info("intree") is None)
def out_of_tree(load: Load) -> Iterator[Answer]:
    """A module that was not built with the kernel."""
    text = f"{load.module.name}: loading out-of-tree module taints kernel."
    yield Finding(RULE, "note", "out of tree: taints the kernel (O)", None, (line(text, once="taint-O"),))


def _uses_retpolines(target: Target) -> bool:
    mitigated = "y" in (target.option("RETPOLINE"), target.option("MITIGATION_RETPOLINE"))
    return target.arch in ("x86_64", "i386") and mitigated


@concerns((4, 15), targets=_uses_retpolines, modules=lambda module: module.info("retpoline") is None)
def retpoline(load: Load) -> Iterator[Answer]:
    """x86: compiled without retpolines for a kernel that uses them. The lines depend on the processor as well."""
    written = (
        line("Spectre V2 : System may be vulnerable to spectre v2", 0),
        line(f"{load.module.name}: loading module not compiled with retpoline compiler.", 1),
    )
    yield Finding(RULE, "warning", "compiled without retpolines", None, written)


@concerns(modules=lambda module: module.info("staging") is not None)
def staging(load: Load) -> Iterator[Answer]:
    """A driver from drivers/staging."""
    if load.version.since(2, 6, 28):
        name = load.module.name
        text = f"{name}: module is from the staging directory, the quality is unknown, you have been warned."
        yield Finding(RULE, "warning", "a staging driver: taints the kernel (C)", None, (line(text),))


def _is_compatible(module: Module) -> bool:
    return module.info("license") in GPL_COMPATIBLE


@concerns(modules=lambda module: not _is_compatible(module))
def license(load: Load) -> Iterator[Answer]:
    """A licence that is not compatible with the GPL."""
    module = load.module
    stated = module.info("license")
    stated = "unspecified" if stated is None else stated
    written = [
        line(f"{module.name}: module license '{stated}' taints kernel.", 0, "taint-P"),
        line(DEBUG_LOCKING, 1, "lock-debugging"),
    ]
    summary = f"licence {stated!r} is not one of {', '.join(GPL_COMPATIBLE)}: taints the kernel, no GPL-only symbols"
    yield Finding(RULE, "warning", summary, None, tuple(written), {"license": stated})


@concerns((6, 0), modules=lambda module: module.info("test") is not None)
def test(load: Load) -> Iterator[Answer]:
    """A test module."""
    text = f"{load.module.name}: loading test module taints kernel."
    yield Finding(RULE, "note", "a test module: taints the kernel (N)", None, (line(text, once="taint-N"),))


@concerns(modules=lambda module: not _is_compatible(module) or module.name in _NAMED)
def license_by_name(load: Load) -> Iterator[Answer]:
    """Modules that the kernel knows by name; since 6.4 this repeats what `license` found."""
    module = load.module
    repeats = load.version.since(6, 4) and is_proprietary(module, load.version)
    if repeats or module.name in _NAMED:
        text = f"{module.name}: module license taints kernel."
        written = (
            line(DEBUG_LOCKING, 0, "lock-debugging"),
            line(text, 1, once="taint-P-late" if repeats else "taint-P"),
        )
        yield Finding(RULE, "warning", "taints the kernel as proprietary (P)", None, written)
