"""The names of facts in words, for checks that lack one: what it is, and the option that supplies it."""

from __future__ import annotations

CONFIG = "the kernel's .config (--config FILE; on the board /proc/config.gz)"
ARCH = "the kernel's architecture (--arch NAME)"
SYMVERS = "the kernel's Module.symvers (--symvers FILE)"
EXPORTS = (
    "CRC, licence or namespace of a symbol that is known by name: the kernel's image (--kernel FILE) or Module.symvers"
)
_PROOF = (
    " is of the kernel that runs: a module of the board that uses these symbols (--target X.ko), its image "
    "(--kernel FILE), or your word (--same-build)"
)
SIGNED = "whether the kernel that runs demands signatures: its .config (--config FILE; on the board /proc/config.gz)"
RELEASE = "the kernel's release (--release STR; on the board `uname -r`)"
VERSION = "the kernel's version (--kernel-version STR)"
STRUCT_SIZE = "sizeof(struct module) of that kernel: any module of its own build (--modules-dir DIR)"
CRCS = "a Module.symvers of that kernel with CRCs: this one has none but zero (--symvers FILE)"
VENDOR = (
    "whose kernel it is: kernel.org's takes a missing entry, Debian's refuses it "
    "(--vendor debian; --vendor upstream, as most boards' are)"
)
FORCE_LOAD = "whether CONFIG_MODULE_FORCE_LOAD is on (--config FILE)"
CERTIFICATES = "whether the kernel trusts the key that signed it (--trusted-cert FILE; --modules-dir DIR)"
VERIFY = "whether the file is unchanged since it was signed: pip install 'modcheck[verify]'"
BTF = "whether its BTF fits the kernel's own: a build directory with the kernel's vmlinux shows it (--target DIR)"


def proof(table: str) -> str:
    """What would prove that a table is the running kernel's."""
    return f"whether {table}{_PROOF}"


def is_proof(needs: str) -> bool:
    """Whether that is what is wanted, of any table."""
    return needs.endswith(_PROOF)
