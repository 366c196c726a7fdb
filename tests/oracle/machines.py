"""Which QEMU machine boots which architecture, and how its init is compiled.

Architectures and compilers have Debian's names; a cross compiler needs its libc too (libc6-dev-armhf-cross). Everything
runs under TCG, on one processor and without any device that the machine can do without: the less happens beside a load,
the fewer lines get between its own.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.oracle.errors import OracleError

#: megabytes of memory of a machine; while it boots it holds the initramfs twice (see boot.BATCH_BYTES)
MEMORY = 1024

#: the machine ends at the first panic or oops; the event of a module's acceptance goes to the log; the log holds what
#: the most talkative module says, takes any number of init's marks, and has no time stamps on the console
CMDLINE = "panic=-1 oops=panic trace_event=module:module_load tp_printk log_buf_len=4M printk.devkmsg=on printk.time=0"


@dataclass(frozen=True, slots=True)
class Machine:
    """How one architecture is booted: QEMU's program and options, the serial console's name, the C compiler.

    `packages`: the Debian packages (of Debian 12) that have QEMU and the compiler.
    """

    qemu: str
    options: tuple[str, ...]
    console: str
    compiler: str
    packages: tuple[str, ...]


_ARM = Machine(
    "qemu-system-arm", ("-M", "virt", "-cpu", "cortex-a15"), "ttyAMA0", "arm-linux-gnueabihf-gcc",
    ("qemu-system-arm", "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"),
)  # fmt: skip

MACHINES = {
    "amd64": Machine(
        "qemu-system-x86_64", ("-M", "q35"), "ttyS0,115200", "x86_64-linux-gnu-gcc",
        ("qemu-system-x86", "gcc", "libc6-dev"),
    ),
    "arm64": Machine(
        "qemu-system-aarch64", ("-M", "virt", "-cpu", "cortex-a57"), "ttyAMA0", "aarch64-linux-gnu-gcc",
        ("qemu-system-arm", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
    ),
    "armhf": _ARM,
    "arm": _ARM,
    "riscv64": Machine(
        "qemu-system-riscv64", ("-M", "virt"), "ttyS0", "riscv64-linux-gnu-gcc",
        ("qemu-system-misc", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross"),
    ),
    "s390x": Machine(
        "qemu-system-s390x", ("-M", "s390-ccw-virtio"), "ttysclp0", "s390x-linux-gnu-gcc",
        ("qemu-system-misc", "gcc-s390x-linux-gnu", "libc6-dev-s390x-cross"),
    ),
    "ppc64el": Machine(
        "qemu-system-ppc64", ("-M", "pseries", "-cpu", "power9"), "hvc0", "powerpc64le-linux-gnu-gcc",
        ("qemu-system-ppc", "gcc-powerpc64le-linux-gnu", "libc6-dev-ppc64el-cross"),
    ),
    "mips64el": Machine(
        "qemu-system-mips64el", ("-M", "malta", "-cpu", "MIPS64R2-generic"), "ttyS0,115200",
        "mips64el-linux-gnuabi64-gcc",
        ("qemu-system-mips", "gcc-mips64el-linux-gnuabi64", "libc6-dev-mips64el-cross"),
    ),
}  # fmt: skip


def command(machine: Machine, kernel: Path, initramfs: Path, cmdline: str) -> list[str]:
    """The QEMU command that boots `kernel` with its serial console on standard output, and ends when it resets."""
    return [
        machine.qemu, *machine.options, "-accel", "tcg", "-smp", "1", "-m", str(MEMORY),
        "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(kernel), "-initrd", str(initramfs),
        "-append", f"console={machine.console} {CMDLINE} {cmdline}".rstrip(),
    ]  # fmt: skip


@cache
def compiled_init(machine: Machine) -> bytes:
    """The static executable of init.c for `machine`; compiled once per process. Raises OracleError."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        program = Path(folder, "init")
        source = Path(__file__).with_name("init.c")
        words = [machine.compiler, "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)]
        try:
            subprocess.run(words, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise OracleError(f"{machine.compiler} is not installed") from None
        except subprocess.CalledProcessError as failed:
            raise OracleError(f"{machine.compiler} cannot compile init.c:\n{failed.stderr}") from None
        return program.read_bytes()
