"""Whose kernel it is: a vendor's patches change what the loader takes (Debian refuses a missing CRC).

Told by what the vendor's packaging leaves in release and `.config`. The compiler's vendor is not the kernel's.
"""

from __future__ import annotations

import re

from .kconfig import Config

#: what may be given for `--vendor`, and is found
VENDORS = ("upstream", "debian", "ubuntu", "rhel", "fedora", "suse", "android")

# how the last word of a Debian release names the architecture
_DEBIAN = (
    r"(?:amd64|arm64|16k|armmp|lpae|marvell|rpi|686|pae|powerpc64le|64k|s390x|riscv64|loong64|malta|octeon|loongson-3"
    r"|mips\w+)"
)

#: forms of releases that only one vendor gives
_RELEASES = (
    ("debian", rf"\d+\.\d+\.0-(?:\d+|0\.deb\d+\.\d+)(?:-[a-z\d]+)*-{_DEBIAN}$|.*[+~]deb\d+"),
    ("ubuntu", r"\d+\.\d+\.0-\d+-(?:generic|lowlatency|aws|azure|gcp|oracle|kvm|raspi|realtime)"),
    ("rhel", r".*\.el\d"),
    ("fedora", r".*\.fc\d"),
    ("android", r".*-android\d+-\d"),
)


def find_vendor(release: str | None, config: Config | None) -> str | None:
    """The vendor that release and `.config` tell, None when they do not."""
    if release is not None:
        for vendor, form in _RELEASES:
            if re.match(form, release):
                return vendor
    if config is None:
        return None
    if config.get("VERSION_SIGNATURE").startswith("Ubuntu"):
        return "ubuntu"
    if config.on("SUSE_KERNEL"):
        return "suse"
    # 7.3-amd64: Debian salts the build id with the release, whose last word is its name for the architecture
    if release is not None and config.get("BUILD_SALT") == release and re.search(rf"-{_DEBIAN}$", release):
        return "debian"
    return None
