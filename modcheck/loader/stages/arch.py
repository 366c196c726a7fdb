"""`arch`: whether the module is machine code for this kernel's processor.

`elf_check_arch()` of each architecture, called from `elf_validity_ehdr()`; `module_elf_check_arch()` of powerpc since
6.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...arch import ARCHES
from ...module.elf import machine_name
from .. import needs
from ..facts import Answer, Finding, Load, Unknown, line
from .elf_format import front_lines, header_as_read

RULE = "arch"


def arch(load: Load) -> Iterator[Answer]:
    """e_machine, and the ELF class where the architecture tests it."""
    target = load.target
    if target.arch is None:
        yield Unknown(RULE, needs.ARCH)
        return
    read = header_as_read(load)
    if read is None:
        return
    wanted = ARCHES[target.arch]
    elf_class = 32 * load.module.elf.raw_header[4]
    checks_class = wanted.checks_class and not (target.arch.startswith("riscv") and not load.version.since(5, 11))
    if read.e_machine not in wanted.machines or (checks_class and elf_class != wanted.bits):
        text = f"Invalid architecture in ELF header: {read.e_machine}"
        module_arch = load.module.arch or machine_name(read.e_machine)
        yield Finding(
            RULE,
            "error",
            f"built for {module_arch}, the kernel is {target.arch}",
            "ENOEXEC",
            tuple(line(text) for text in front_lines(load.version, text)),
            {"module": module_arch, "target": target.arch},
        )
    elif target.endianness is None:
        yield Unknown(RULE, f"the byte order of that {target.arch} kernel (--config FILE)")
    elif target.arch == "ppc64" and load.version.since(6, 3) and target.config is not None:
        abi = read.e_flags & 3
        if (abi == 2) != target.config.on("PPC64_ELF_ABI_V2"):
            text = f"Invalid module architecture in ELF header: {read.e_machine}"
            yield Finding(RULE, "error", f"built for ELF ABI v{abi or 1}, the kernel is not", "ENOEXEC", (line(text),))
