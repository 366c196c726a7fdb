"""The composed vermagic against the one inside the same package's modules: 5.10 to 7.x, every architecture of Debian.

tests/data/vermagic/ was recorded from the packages by tools/record_vermagic.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modcheck.target import read_config, read_target
from modcheck.target.kconfig import Config
from modcheck.target.vermagic import compose, with_blank
from modcheck.version import Version

DATA = Path(__file__).parent / "data" / "vermagic"
KERNELS: list[dict[str, Any]] = json.loads((DATA / "kernels.json").read_text())


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel['arch']}-{kernel['release']}")
def test_composed_vermagic_is_the_modules_own(kernel: dict[str, Any]) -> None:
    target = read_target(release=kernel["release"], config=DATA / kernel["config"])
    assert target.arch == kernel["arch"]
    assert target.vermagic == kernel["vermagic"]
    assert target.notes == ()


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel['arch']}-{kernel['release']}")
def test_debian_is_told_from_release_and_config(kernel: dict[str, Any]) -> None:
    assert read_target(release=kernel["release"], config=DATA / kernel["config"]).vendor == "debian"


def test_the_recorded_kernels_cover_what_the_readme_claims() -> None:
    assert {"x86_64", "arm64", "arm", "i386", "ppc64", "s390x", "mips64", "riscv64"} <= {k["arch"] for k in KERNELS}
    assert any("-rt-" in kernel["release"] for kernel in KERNELS)
    assert any("cloud" in kernel["release"] for kernel in KERNELS)
    assert len(KERNELS) >= 60


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel['arch']}-{kernel['release']}")
def test_the_blank_at_the_end_is_restored(kernel: dict[str, Any]) -> None:
    assert with_blank(kernel["vermagic"].strip()) == kernel["vermagic"]


def config(version: str, *options: str) -> Config:
    return Config(f"# Linux/x86 {version} Kernel Configuration\n" + "".join(f"CONFIG_{o}\n" for o in options), "test")


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        ((2, 6, 24), ("SMP=y", "PREEMPT=y", "MODULE_UNLOAD=y", "MODVERSIONS=y", "M686=y", "4KSTACKS=y"),
         "r SMP preempt mod_unload 686 4KSTACKS "),
        ((2, 6, 26), ("SMP=y", "MODULE_UNLOAD=y", "MODVERSIONS=y", "M686=y"), "r SMP mod_unload modversions 686 "),
        ((5, 15, 0), ("SMP=y", "PREEMPT_BUILD=y", "M686=y"), "r SMP 686 "),
        ((5, 16, 0), ("SMP=y", "PREEMPT_BUILD=y", "M686=y"), "r SMP preempt 686 "),
        ((6, 12, 0), ("PREEMPT_BUILD=y", "PREEMPT_RT=y", "M686=y"), "r preempt 686 "),
        ((6, 13, 0), ("PREEMPT_BUILD=y", "PREEMPT_RT=y", "M686=y"), "r preempt_rt 686 "),
    ],
)  # fmt: skip
def test_tokens_follow_the_version(version: tuple[int, int, int], options: tuple[str, ...], expected: str) -> None:
    assert compose("r", Version(*version), config("1.2.3", *options), "i386") == expected


def test_a_randstruct_kernel_needs_its_seed() -> None:
    made = config("6.1.0", "SMP=y", "RANDSTRUCT=y")
    assert compose("6.1.0", Version(6, 1, 0), made, "arm64") is None
    assert compose("6.1.0", Version(6, 1, 0), made, "arm64", "ab" * 32) == "6.1.0 SMP aarch64RANDSTRUCT_" + "ab" * 32
    assert compose("5.4.0", Version(5, 4, 0), made, "arm64", "ab" * 32) == (
        "5.4.0 SMP aarch64RANDSTRUCT_PLUGIN_" + "ab" * 32
    )


def test_the_compiler_that_was_in_vermagic_is_not_guessed() -> None:
    assert compose("2.6.18", Version(2, 6, 18), config("2.6.18", "M686=y"), "i386") is None


def test_arm_with_v6_and_v7_is_v6() -> None:
    both = config("6.1.0", "CPU_32v6=y", "CPU_32v6K=y", "CPU_32v7=y")
    v7 = config("6.1.0", "CPU_32v6K=y", "CPU_32v7=y")
    assert compose("r", Version(6, 1, 0), both, "arm") == "r ARMv6 "
    assert compose("r", Version(6, 1, 0), v7, "arm") == "r ARMv7 "


def test_the_board_s_own_config_and_release_are_enough(tmp_path: Path) -> None:
    import gzip

    compressed = tmp_path / "config.gz"
    compressed.write_bytes(gzip.compress((DATA / "6.1.0-56-amd64.config").read_bytes()))
    assert read_config(compressed).version == Version(6, 1, 192)
