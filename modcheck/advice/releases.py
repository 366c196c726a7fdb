"""Releases as distributions and boards form them: which kernel's headers, and the package that has them.

Sources: the packaging of each distribution's kernel, as its packages of 2026 are named.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: the version of kernel.org, with -rc, in front of all that is added to it
_BASE = re.compile(r"\d+\.\d+(?:\.\d+)*(?:-rc\d+)?")
#: what scripts/setlocalversion appends for a git tree: `+`, `-dirty`, `-00012-g0123456789ab`, Yocto's `+g0123456`
_GIT = re.compile(r"(?:\+(?=$|-dirty$)|[+-]g[0-9a-f]{6,40}|-\d{5}(?=-g)|-dirty)+$")


class Headers(NamedTuple):
    """One distribution's kernel."""

    distribution: str
    flavour: str
    package: str
    """that has its headers"""
    install: str
    """the command"""


#: distribution, form of its releases with the groups `abi` and `flavour`, package, command
_FORMS = (
    ("Proxmox", r"(?P<abi>\d+\.\d+\.\d+-\d+)-(?P<flavour>pve)", "proxmox-headers-{release}", "apt install {package}"),
    ("Raspberry Pi OS", r"(?P<abi>\d+\.\d+\.\d+\+rpt\d*)-(?P<flavour>rpi-\S+)", "linux-headers-{release}",
     "apt install {package}"),
    ("Raspberry Pi OS", r"(?P<abi>\d+\.\d+\.\d+)-(?P<flavour>v[678]l?(?:[-_]16k)?\+)", "raspberrypi-kernel-headers",
     "apt install {package}"),
    ("Ubuntu", r"(?P<abi>\d+\.\d+\.\d+-\d{1,4})-(?P<flavour>generic\S*|lowlatency\S*|raspi\S*|aws|azure\S*|gcp|oracle"
     r"|kvm|nvidia\S*|realtime|ibm|xilinx-\S+|oem|virtual)", "linux-headers-{release}", "apt install {package}"),
    ("Debian", r"(?P<abi>\d+\.\d+(?:\.\d+)?(?:-\d+|-0\.deb\d+\.\d+|[+~][\w.~+]*deb\d+\S*?)?)-(?P<flavour>"
     r"(?:(?:cloud|rt)-)?(?:amd64|arm64|arm64-16k|armmp|armmp-lpae|marvell|rpi|686|686-pae|powerpc64le(?:-64k)?|s390x"
     r"|riscv64|loong64|4kc-malta|5kc-malta|octeon|loongson-3|mips\w+))", "linux-headers-{release}",
     "apt install {package}"),
    ("Armbian", r"(?P<abi>\d+\.\d+\.\d+)-(?P<flavour>(?:current|edge|legacy|vendor|bleedingedge|cloud)-[\w-]+)",
     "linux-headers-{flavour}", "apt install {package}"),
    ("Oracle Linux", r"(?P<abi>\d\S*\.el\d+uek)\.\w+(?P<flavour>)", "kernel-uek-devel-{release}",
     "dnf install {package}"),
    ("ELRepo", r"(?P<abi>\d\S*\.el\d+)\.elrepo\.\w+(?P<flavour>)", "kernel-ml-devel-{release}",
     "dnf --enablerepo=elrepo-kernel install {package}"),
    ("Amazon Linux", r"(?P<abi>\d\S*\.amzn\d+)\.\w+(?P<flavour>)", "kernel-devel-{release}", "dnf install {package}"),
    ("Fedora", r"(?P<abi>\d\S*\.fc\d+)\.\w+(?P<flavour>\+\S+)?", "kernel-{variant}devel-{plain}",
     "dnf install {package}"),
    ("Red Hat Enterprise Linux", r"(?P<abi>\d\S*\.el\d+\S*?)\.\w+(?P<flavour>\+\S+)?",
     "kernel-{variant}devel-{plain}", "dnf install {package}"),
    ("SUSE", r"(?P<abi>\d+\.\d+\.\d+-[\d.]+)-(?P<flavour>default|preempt|rt|azure|64kb|pae|vanilla|longterm)",
     "kernel-{flavour}-devel", "zypper install {package}={abi}"),
    ("Arch Linux", r"(?P<abi>\d+\.\d+(?:\.\d+)?[.-](?:arch|zen|hardened)\d+-\d+)(?P<flavour>-zen|-hardened)?",
     "linux{flavour}-headers", "pacman -S {package}"),
    ("Alpine Linux", r"(?P<abi>\d+\.\d+\.\d+-\d+)-(?P<flavour>virt|stable|edge|rpi|(?<=-0-)lts)", "linux-{flavour}-dev",
     "apk add {package}"),
    ("Arch Linux", r"(?P<abi>\d+\.\d+\.\d+-\d+)-(?P<flavour>lts|rt|rt-lts)", "linux-{flavour}-headers",
     "pacman -S {package}"),
    ("Manjaro", r"(?P<abi>(?P<major>\d+)\.(?P<minor>\d+)\.\d+-\d+)-(?P<flavour>MANJARO)", "linux{major}{minor}-headers",
     "pacman -S {package}"),
    ("CachyOS", r"(?P<abi>\d\S*)-(?P<flavour>cachyos)", "linux-cachyos-headers", "pacman -S {package}"),
    ("Void Linux", r"(?P<abi>(?P<major>\d+)\.(?P<minor>\d+)\.\d+_\d+)(?P<flavour>)", "linux{major}.{minor}-headers",
     "xbps-install -S {package}"),
    ("NVIDIA Jetson Linux", r"(?P<abi>\d+\.\d+\.\d+)-(?P<flavour>tegra)", "nvidia-l4t-kernel-headers",
     "apt install {package}"),
)  # fmt: skip


def headers(release: str) -> Headers | None:
    """The distribution whose kernel has that release, with the package of its headers; None where none is known."""
    if not re.fullmatch(r"[\w.+~-]+", release):
        return None  # it becomes part of commands
    for distribution, form, package, install in _FORMS:
        if found := re.fullmatch(form, release):
            flavour = found["flavour"] or ""
            words = {
                **found.groupdict(""),
                "release": release,
                "flavour": flavour,
                "plain": release.removesuffix(flavour) if flavour.startswith("+") else release,
                "variant": f"{flavour[1:]}-" if flavour.startswith("+") else "",
            }
            name = package.format(**words)
            return Headers(
                distribution,
                flavour.lstrip("+-") or "standard",
                name,
                install.format(package=name, **words),
            )
    return None


def split(release: str) -> tuple[str, str]:
    """kernel.org's version, and all that was appended to it."""
    found = _BASE.match(release)
    return (found[0], release[found.end() :]) if found else ("", release)


def git_suffix(text: str) -> bool:
    """Whether `text` is what the state of a git tree appends to a release."""
    return _GIT.fullmatch(text) is not None
