"""Modules built against headers whose Module.symvers is the one that modcheck rebuilt from image and modules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .errors import OracleError
from .kernels import ROLES, Kernel, open_archive

SOURCES = Path(__file__).parent.parent.parent / "sample_modules/src"
#: Debian's architecture: kbuild's ARCH, and the prefix of the compiler
_COMPILERS = {"amd64": ("x86", ""), "arm64": ("arm64", "aarch64-linux-gnu-")}
_MODULES = ("chrdevbase", "sample_export", "sample_import", "sample_namespace")


def build(work: Path, name: str, kernel: Kernel) -> list[Path]:
    """The samples, built below `work` for the kernel of the role `name`; those that others need come first.

    :raises OracleError: they cannot be built
    """
    arch, cross = _COMPILERS[kernel.arch]
    root = (work / "made" / kernel.release / "rebuilt").resolve()
    shutil.rmtree(root, ignore_errors=True)
    suite, packages = ROLES[name].suite, work / "packages"
    common = re.sub(rf"-{re.escape(ROLES[name].flavour)}$", "-common", kernel.headers.name)
    open_archive(packages, suite, kernel.arch).unpack(root, kernel.headers.name)
    # the programs that run here, and what all architectures share
    version = re.match(r"\d+\.\d+", kernel.release)
    assert version
    open_archive(packages, suite, "amd64").unpack(root, common, f"linux-kbuild-{version[0]}")
    tree = root / "usr/src" / kernel.headers.name
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{root}/usr/src/"))
    table = tree / "Module.symvers"
    table.unlink()
    _run([sys.executable, "-m", "modcheck", "symvers", kernel.image, kernel.modules, "-o", table])
    folder = root / "samples"
    folder.mkdir()
    for source in (*SOURCES.glob("sample.h"), *(SOURCES / f"{one}.c" for one in _MODULES)):
        shutil.copy(source, folder)
    (folder / "Kbuild").write_text(f"obj-m := {' '.join(f'{one}.o' for one in _MODULES)}\n")
    _run(["make", "-s", "-C", tree, f"ARCH={arch}", f"CROSS_COMPILE={cross}", f"M={folder}", "modules"])
    for one in _MODULES:
        _run([f"{cross}strip", "--strip-debug", folder / f"{one}.ko"])
    return [folder / f"{one}.ko" for one in _MODULES]


def _run(words: list[str | Path]) -> None:
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        raise OracleError(f"{words[0]} is not installed") from None
    if done.returncode:
        raise OracleError(f"{words[0]}: {done.stderr.strip()[-500:]}")
