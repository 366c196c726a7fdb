"""Debian kernels to boot: found by role in what the archive offers today, fetched and unpacked, never installed.

A role is a suite, an architecture and a flavour; the newest ABI of it that can still be had is taken. Up to 6.12 one
package holds image and modules, 7.x splits them in three.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))

from debian import Archive, open_archive

from .errors import OracleError


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel on disk: its release, where its image, its modules and its headers lie, and the package it is from."""

    release: str
    arch: str
    package: str
    image: Path
    modules: Path
    headers: Path


#: folder of sample_modules/: Debian's name of the architecture, and where kbuild puts the image
SMALL = {
    "rk3588": ("arm64", "arch/arm64/boot/Image"),
    "rk3588-modversions": ("arm64", "arch/arm64/boot/Image"),
    "sunxi": ("arm", "arch/arm/boot/zImage"),
}


@dataclass(frozen=True, slots=True)
class Role:
    """Which kernel is meant: `series` begins the release, `flavour` ends it."""

    suite: str
    arch: str
    series: str
    flavour: str


#: the kernels of the cases, by name
ROLES = {
    "5.10": Role("bullseye", "amd64", "5.10", "amd64"),
    "6.1": Role("bookworm", "amd64", "6.1", "amd64"),
    "6.1-cloud": Role("bookworm", "amd64", "6.1", "cloud-amd64"),
    "6.1-rt": Role("bookworm", "amd64", "6.1", "rt-amd64"),
    "6.12": Role("trixie", "amd64", "6.12", "amd64"),
    "newest": Role("experimental", "amd64", "", "amd64"),
    "arm64-6.1": Role("bookworm", "arm64", "6.1", "arm64"),
    "arm64-newest": Role("experimental", "arm64", "", "arm64"),
    "armhf-6.1": Role("bookworm", "armhf", "6.1", "armmp"),
    "armhf-newest": Role("experimental", "armhf", "", "armmp"),
    "riscv64-6.12": Role("trixie", "riscv64", "6.12", "riscv64"),
    "s390x-6.1": Role("bookworm", "s390x", "6.1", "s390x"),
    "s390x-newest": Role("experimental", "s390x", "", "s390x"),
    "ppc64el-6.1": Role("bookworm", "ppc64el", "6.1", "powerpc64le"),
    "ppc64el-newest": Role("experimental", "ppc64el", "", "powerpc64le"),
    "mips64el-6.1": Role("bookworm", "mips64el", "6.1", "5kc-malta"),
    # not booted: for tests.oracle.tables alone
    "i386-5.10": Role("bullseye", "i386", "5.10", "686-pae"),
    "i386-6.1": Role("bookworm", "i386", "6.1", "686-pae"),
    "arm64-5.10": Role("bullseye", "arm64", "5.10", "arm64"),
    "arm64-6.12": Role("trixie", "arm64", "6.12", "arm64"),
    "armhf-5.10": Role("bullseye", "armhf", "5.10", "armmp"),
    "armhf-6.12": Role("trixie", "armhf", "6.12", "armmp"),
    "armel-6.1": Role("bookworm", "armel", "6.1", "rpi"),
    "s390x-6.12": Role("trixie", "s390x", "6.12", "s390x"),
    "ppc64el-6.12": Role("trixie", "ppc64el", "6.12", "powerpc64le"),
    "mipsel-6.1": Role("bookworm", "mipsel", "6.1", "4kc-malta"),
    "loong64-newest": Role("sid", "loong64", "", "loong64"),
    "riscv64-newest": Role("sid", "riscv64", "", "riscv64"),
}


def arch_of(name: str) -> str:
    """Debian's name of the architecture of the role or small kernel `name`."""
    role = name.partition("~")[0]
    return SMALL[role][0] if role in SMALL else ROLES[role].arch


def releases(archive: Archive, role: Role) -> list[str]:
    """The releases of that role that have headers, newest first."""
    series = re.escape(role.series) or r"\d+"
    form = rf"linux-headers-({series}\.\d[\w.+~-]*?)-{re.escape(role.flavour)}"
    names = archive.names(form)
    found = [re.fullmatch(form, name) for name in reversed(names)]
    plain = [match for match in found if match and not re.search(r"-(?:rt|cloud)$", match[1])]
    return [f"{match[1]}-{role.flavour}" for match in plain]


def fetch(work: Path, name: str, skip: int = 0) -> Kernel:
    """The kernel of the role `name`, unpacked below `work`, or the small one of that name.

    :param skip: how many of the newest ABIs to pass over (1: the neighbouring one)
    :raises OracleError: the archive has none, or none that can still be downloaded
    """
    if name in SMALL:
        return _small(work / "samples" / name, name)
    role = ROLES[name]
    try:
        archive = open_archive(work / "packages", role.suite, role.arch)
        candidates = releases(archive, role)
    except SystemExit as error:
        raise OracleError(str(error)) from None
    for release in candidates[skip:]:
        root = work / "kernels" / release
        try:
            if not (root / "complete").exists():
                archive.unpack(root, *_packages(archive, release))
                (root / "complete").write_text(archive.version(f"linux-headers-{release}"))
            return _kernel(root, release, role.arch)
        except SystemExit:
            continue  # listed, but gone from the archive
    raise OracleError(f"no kernel for {name} ({role.suite}, {role.arch}, {role.series or 'newest'} {role.flavour})")


def _small(build: Path, name: str) -> Kernel:
    """A kernel of sample_modules/, where rebuild.sh has left its build tree below `work`/samples."""
    arch, image = SMALL[name]
    if not (build / image).exists():
        raise OracleError(f"{build / image} is not there: sample_modules/rebuild.sh {build.parent} {name}")
    folder = Path(__file__).parent.parent.parent / "sample_modules" / name
    release = (build / "include/config/kernel.release").read_text().strip()
    return Kernel(release, arch, "upstream, built by sample_modules/rebuild.sh", build / image, folder, folder / "tree")


def _packages(archive: Archive, release: str) -> Iterator[str]:
    known = set(archive.names(rf"linux-(?:image|modules|binary)-{re.escape(release)}(?:-unsigned)?"))
    yield f"linux-headers-{release}"
    if f"linux-modules-{release}" in known:
        yield f"linux-modules-{release}"
        yield f"linux-binary-{release}"
        yield f"linux-base-{release}"
    elif f"linux-image-{release}" in known:
        yield f"linux-image-{release}"
    else:
        yield f"linux-image-{release}-unsigned"


def _kernel(root: Path, release: str, arch: str) -> Kernel:
    modules = next(path for path in root.glob("**/lib/modules/*") if path.name == release)
    image = next(iter([*root.glob("boot/vmlinu*"), *modules.glob("vmlinu*")]))
    version = (root / "complete").read_text()
    return Kernel(release, arch, f"linux {version}", image, modules, root / "usr/src" / f"linux-headers-{release}")
