"""Whose kernel it is: a vendor's patches change what the loader takes (Debian refuses a missing CRC).

Told by what the vendor's packaging leaves in release and `.config`. The compiler's vendor is not the kernel's.
"""

from __future__ import annotations

import re

from .kconfig import Config

#: forms of releases that only one vendor gives
_RELEASES = (
    # 6.1.0-56-amd64, 6.12.117+deb13-rt-amd64, 5.10.0-0.deb10.16-686-pae
    ("debian", re.compile(r"\d+\.\d+\.0-(?:\d+|0\.deb\d+\.\d+)(?:-[a-z]+)*-(?:amd64|arm64|armmp|armmp-lpae|marvell|rpi|"
                          r"686|686-pae|powerpc64le|s390x|riscv64|loong64|4kc-malta|5kc-malta|octeon|loongson-3|"
                          r"mips(?:64|32)r2e[bl])|.*[+~]deb\d+")),
    ("ubuntu", re.compile(r"\d+\.\d+\.0-\d+-(?:generic|lowlatency|aws|azure|gcp|oracle|kvm|raspi|realtime)")),
    ("rhel", re.compile(r".*\.el\d")),
    ("fedora", re.compile(r".*\.fc\d")),
    ("android", re.compile(r".*-android\d+-\d")),
)  # fmt: skip

#: what may be given for `--vendor`, and found
VENDORS = ("upstream", "debian", "ubuntu", "rhel", "fedora", "suse", "android")


def find_vendor(release: str | None, config: Config | None) -> str | None:
    """The vendor that release and `.config` tell, None when they do not."""
    if release is not None:
        for vendor, form in _RELEASES:
            if form.match(release):
                return vendor
    if config is None:
        return None
    if config.get("VERSION_SIGNATURE").startswith("Ubuntu"):
        return "ubuntu"
    if config.on("SUSE_KERNEL"):
        return "suse"
    # a Debian build salts its build id with its release, which names its architecture in Debian's word
    salt = config.get("BUILD_SALT")
    if release is not None and salt == release and _DEBIAN_FLAVOUR.search(release):
        return "debian"
    return None


_DEBIAN_FLAVOUR = re.compile(
    r"^\d+\.\d+(?:-rc\d+)?(?:-rt|-cloud)?-(?:amd64|arm64|armmp|686|powerpc64le|s390x|riscv64|loong64)"
)
