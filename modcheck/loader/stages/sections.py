"""`wx-section` and `arch-sections`: section headers that the kernel refuses whatever they hold.

`module_enforce_rwx_sections()` of kernel/module/strict_rwx.c, since 5.8; `module_frob_arch_sections()` of each
architecture, which looks for the sections that its linker script lays, and arm64's `module_finalize()`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...module.facts import SHF_ALLOC, Module
from .. import needs
from ..concerns import concerns
from ..facts import Answer, Finding, Load, Unknown, line

WX_RULE = "wx-section"
ARCH_RULE = "arch-sections"

_PPC32 = "Module doesn't contain .plt or .init.plt sections."
_PLT, _INIT_PLT = (".plt", "module PLT section(s) missing"), (".init.plt", "module PLT section(s) missing")

#: architecture: (option that must be on, or None; the sections that must be there; first version)
_REQUIRED: dict[str, tuple[str | None, tuple[tuple[str, str], ...], tuple[int, int]]] = {
    "arm": ("ARM_MODULE_PLTS", (_PLT, _INIT_PLT), (4, 2)),
    "arm64": ("ARM64_MODULE_PLTS", (_PLT, _INIT_PLT), (4, 5)),
    "riscv64": (
        "MODULE_SECTIONS",
        (_PLT, (".got", "module GOT section(s) missing"), (".got.plt", "module GOT.PLT section(s) missing")),
        (4, 16),
    ),
    "loongarch64": (
        None,
        ((".got", "module GOT section(s) missing"), _PLT, (".plt.idx", "module PLT section(s) missing")),
        (5, 19),
    ),
    "ppc": (None, ((".plt", _PPC32), (".init.plt", _PPC32)), (2, 6)),
    "ppc64": (None, ((".stubs", "doesn't contain .stubs."),), (2, 6)),
}  # fmt: skip


#: sections whose flags the architecture's loader has set anew by then: name, option, first version
_REWRITTEN: dict[str, tuple[tuple[str, str | None, tuple[int, int]], ...]] = {
    "arm": ((".plt", "ARM_MODULE_PLTS", (4, 2)), (".init.plt", "ARM_MODULE_PLTS", (4, 2))),
    "arm64": (
        (".plt", "ARM64_MODULE_PLTS", (4, 5)), (".init.plt", "ARM64_MODULE_PLTS", (4, 5)),
        (".text.ftrace_trampoline", "DYNAMIC_FTRACE", (4, 16)),
        (".init.text.ftrace_trampoline", "DYNAMIC_FTRACE", (6, 12)),
    ),
    "riscv64": tuple((name, "MODULE_SECTIONS", (4, 16)) for name in (".plt", ".got", ".got.plt")),
    "loongarch64": (
        *((name, None, (5, 19)) for name in (".got", ".plt", ".plt.idx")),
        (".ftrace_trampoline", "DYNAMIC_FTRACE", (6, 1)),
    ),
}  # fmt: skip


def _rewritten(load: Load, name: str | None) -> bool:
    """Whether that section's flags do not matter, since the architecture's loader sets them."""
    for section, option, since in _REWRITTEN.get(load.target.arch or "", ()):
        if section == name and load.version.since(*since):
            return _state(load, option) == "y"
    return False


@concerns((5, 8), modules=lambda module: module.elf.sections.writable_code)
def wx_section(load: Load) -> Iterator[Answer]:
    """A section that is both writable and executable."""
    for index in load.module.elf.sections.writable_code:
        section = load.module.elf.sections[index]
        if not _rewritten(load, section.name):
            state = load.target.option("STRICT_MODULE_RWX")
            if state is None:
                yield Unknown(WX_RULE, needs.CONFIG)
            elif state == "y":
                text = f"{load.module.name}: section {section.name} (index {index}) has invalid WRITE|EXEC flags"
                written = (line(text),) if load.version.since(5, 11) else ()
                summary = f"section {section.name} is writable and executable"
                yield Finding(WX_RULE, "error", summary, "ENOEXEC", written)
            return


@concerns(targets=lambda target: target.arch in _REQUIRED)
def arch_sections(load: Load) -> Iterator[Answer]:
    """Sections of the architecture's linker script; a module linked by hand lacks them."""
    option, wanted, since = _REQUIRED[load.target.arch or ""]
    if not load.version.since(*since):
        return
    missing = next(((name, text) for name, text in wanted if name not in load.module.elf.sections.places), None)
    if missing is None:
        return
    state = _state(load, option)
    if state is None:
        yield Unknown(ARCH_RULE, needs.CONFIG)
    elif state == "y":
        text = missing[1] if load.target.arch == "ppc" else f"{load.module.name}: {missing[1]}"
        if load.target.arch in ("ppc", "ppc64") and load.version.since(3, 18):
            text = f"module_{load.module.elf.bits}: {text}"
        yield Finding(ARCH_RULE, "error", f"section {missing[0]} is missing", "ENOEXEC", (line(text),))


def _state(load: Load, option: str | None) -> str | None:
    """The value of an option; None stands for one that is always on, as ARM64_MODULE_PLTS is since 6.5."""
    always = option is None or (option == "ARM64_MODULE_PLTS" and load.version.since(6, 5))
    return "y" if always else load.target.option(option or "")


_TRAMPOLINE, _INIT_TRAMPOLINE = ".text.ftrace_trampoline", ".init.text.ftrace_trampoline"


@concerns((5, 5), targets=lambda target: target.arch == "arm64")
def trampolines(load: Load) -> Iterator[Answer]:
    """arm64's sections for ftrace: `module_init_ftrace_plt()` of arch/arm64/kernel/module.c, refused without a line.

    The first since 5.5 (5.10 has it); the second in 7.3 and in 6.12.117, which has it from a later kernel: of other
    versions between it is not known.
    """
    version, present = load.version, load.module.elf.sections.places
    if not {".plt", ".init.plt"} <= present.keys():
        return  # without those it was refused before
    missing = next((name for name in (_TRAMPOLINE, _INIT_TRAMPOLINE) if name not in present), None)
    late_6_12 = version[:2] == (6, 12) and version.since(6, 12, 117)
    certain = missing == _TRAMPOLINE or version.since(7, 3) or late_6_12
    if missing is None or (not certain and (not version.since(6, 6) or load.own_build)):
        return
    states = (_state(load, "ARM64_MODULE_PLTS"), _state(load, "DYNAMIC_FTRACE"))
    if "n" in states:
        return
    if None in states:
        yield Unknown(ARCH_RULE, needs.CONFIG)
    elif certain:
        yield Finding(ARCH_RULE, "error", f"section {missing} is missing", "ENOEXEC")
    else:
        yield Unknown(ARCH_RULE, f"whether this kernel wants a section {missing}, as late 6.12.y and 7.3 do")


def _has_both_kinds(module: Module) -> bool:
    sections = module.elf.sections
    return all(any(one.sh_flags & SHF_ALLOC for one in sections.named(name)) for name in (".ctors", ".init_array"))


@concerns(modules=_has_both_kinds)
def constructors(load: Load) -> Iterator[Answer]:
    """Both kinds of constructors at once, which find_module_sections() does not take with CONFIG_CONSTRUCTORS."""
    state = load.target.option("CONSTRUCTORS")
    if state is None:
        yield Unknown(ARCH_RULE, needs.CONFIG)
    elif state == "y":
        text = f"{load.module.name}: has both .ctors and .init_array."
        yield Finding(ARCH_RULE, "error", "has both .ctors and .init_array", "EINVAL", (line(text),))
