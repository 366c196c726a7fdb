"""The two cases that modcheck began with, as users posted them."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run
from rewrite import with_modinfo

DATA = Path(__file__).parent / "data"


def test_the_suffix_of_a_sunxi_board(modcheck: Callable[..., Run], tmp_path: Path) -> None:
    built = "5.4.20 SMP mod_unload ARMv7 thumb2 p2v8 "
    board = "5.4.20-sunxi SMP mod_unload ARMv7 thumb2 p2v8"  # as copied from a terminal, without the blank at its end
    module = tmp_path / "chrdevbase.ko"
    module.write_bytes(with_modinfo((SAMPLES / "sunxi/chrdevbase.ko").read_bytes(), vermagic=built))
    run = modcheck("--format", "json", module, "--vermagic", board, "--arch", "armv7l")
    (entry,) = run.document["modules"]
    assert (run.status, entry["verdict"], entry["errno"]) == (1, "refused", "ENOEXEC")
    assert entry["log"] == [f"chrdevbase: version magic '{built}' should be '{board} '"]
    assert entry["insmod_message"] == "Invalid module format"


@pytest.fixture
def fedora(tmp_path: Path) -> Path:
    """A real i386 module with the vermagic of Fedora Core 2."""
    path = next((DATA / "modules").glob("i386-6.1*/*.ko.xz"))
    module = tmp_path / "old.ko"
    vermagic = "2.6.5-1.358custom 686 REGPARM 4KSTACKS gcc-3.3"
    module.write_bytes(with_modinfo(lzma.decompress(path.read_bytes()), vermagic=vermagic))
    return module


def test_extraversion_of_fedora_core_2(modcheck: Callable[..., Run], fedora: Path, tmp_path: Path) -> None:
    config = tmp_path / "running_kernel.config"
    config.write_text("#\n# Automatically generated make config: don't edit\n# Linux kernel version: 2.6.5-1.358\n#\n"
                      "CONFIG_X86=y\nCONFIG_X86_32=y\nCONFIG_M686=y\nCONFIG_MODULES=y\n"
                      "# CONFIG_MODVERSIONS is not set\n")  # fmt: skip
    kernel = "2.6.5-1.358 686 REGPARM 4KSTACKS gcc-3.3"
    run = modcheck("--format", "json", fedora, "--vermagic", kernel, "--config", config)
    (entry,) = run.document["modules"]
    assert (run.status, entry["errno"]) == (1, "ENOEXEC")
    assert entry["log"] == [
        f"{entry['name']}: version magic '2.6.5-1.358custom 686 REGPARM 4KSTACKS gcc-3.3' should be '{kernel}'"
    ]


def test_without_its_config_an_old_kernel_may_skip_the_release(modcheck: Callable[..., Run], fedora: Path) -> None:
    kernel = "2.6.5-1.358 686 REGPARM 4KSTACKS gcc-3.3"
    run = modcheck("--format", "json", fedora, "--vermagic", kernel, "--arch", "i386", "--strict")
    (entry,) = run.document["modules"]
    assert (run.status, entry["verdict"]) == (3, "unknown")
    assert "CONFIG_MODVERSIONS" in {u["rule"]: u["needs"] for u in entry["unchecked"]}["vermagic"]
