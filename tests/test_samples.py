"""The samples against their own trees, away from them, and against each other's: the classics of the field."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SAMPLES, Run

KERNELS = ("debian-6.1-amd64", "debian-6.1-arm64", "rk3588", "rk3588-modversions", "sunxi")
LOADING = ("chrdevbase", "sample_export", "sample_import", "sample_namespace")
Modcheck = Callable[..., Run]


def table(kernel: str) -> Path:
    return next((SAMPLES / kernel / "tree").glob("Module.symvers*"))


def gate(modcheck: Modcheck, *words: str | Path) -> Run:
    return modcheck("--format", "json", "--strict", *words)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("module", LOADING)
def test_each_loads_in_its_own_tree(modcheck: Modcheck, kernel: str, module: str) -> None:
    own = () if module in ("chrdevbase", "sample_export") else ("--symvers", f"{kernel}/Module.symvers")
    run = gate(modcheck, f"{kernel}/{module}.ko", "--symvers", table(kernel), *own)
    (entry,) = run.document["modules"]
    assert (entry["verdict"], entry["unchecked"], run.status) == ("loads", [], 0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_same_file_with_the_table_alone_is_unknown(modcheck: Modcheck, kernel: str, tmp_path: Path) -> None:
    lone = shutil.copy(table(kernel), tmp_path)
    module = shutil.copy(SAMPLES / kernel / "chrdevbase.ko", tmp_path)
    run = gate(modcheck, module, "--symvers", lone)
    (entry,) = run.document["modules"]
    assert (entry["verdict"], run.status) == ("unknown", 3)
    missing = {unknown["rule"]: unknown["needs"] for unknown in entry["unchecked"]}
    assert "--config" in missing["signature"]
    assert "--arch" in missing["arch"]
    assert "--vermagic" in missing["vermagic"]


def test_without_strict_the_table_alone_passes_only_if_crcs_could_be_compared(
    modcheck: Modcheck, tmp_path: Path
) -> None:
    for kernel, status in (("rk3588-modversions", 0), ("rk3588", 3)):
        lone = shutil.copy(table(kernel), tmp_path / f"{kernel}.symvers")
        assert modcheck(f"{kernel}/chrdevbase.ko", "--symvers", lone).status == status


@pytest.mark.parametrize("other", ["debian-6.1-amd64", "debian-6.1-arm64"])
def test_another_kernels_table_refuses(modcheck: Modcheck, other: str, tmp_path: Path) -> None:
    lone = shutil.copy(table(other), tmp_path)
    run = gate(modcheck, "rk3588-modversions/chrdevbase.ko", "--symvers", lone)
    (entry,) = run.document["modules"]
    assert (entry["verdict"], run.status) == ("refused", 1)
    assert "chrdevbase: disagrees about version of symbol module_layout" in entry["log"]
    assert entry["insmod_message"] == "Invalid module format"
    assert entry["message"] == "Exec format error"
    assert entry["first"] is False
    assert "arch" in entry["earlier_unknown"]


def verdicts(run: Run) -> dict[str, tuple[str, str | None]]:
    return {entry["name"]: (entry["verdict"], entry["errno"]) for entry in run.document["modules"]}


@pytest.mark.parametrize("kernel", ["rk3588", "sunxi"])
def test_a_forgotten_suffix_refuses_without_crcs(modcheck: Modcheck, kernel: str) -> None:
    run = gate(modcheck, f"{kernel}/no-suffix", "--target", f"{kernel}/tree")
    assert set(verdicts(run).values()) == {("refused", "ENOEXEC")}
    for entry in run.document["modules"]:
        assert "version magic '6.1.176 SMP" in entry["log"][0]


def test_a_forgotten_suffix_is_not_looked_at_with_crcs(modcheck: Modcheck) -> None:
    run = gate(modcheck, "rk3588-modversions/no-suffix/chrdevbase.ko", "--target", "rk3588-modversions/tree")
    (entry,) = run.document["modules"]
    assert (entry["verdict"], run.status) == ("loads", 0)
    (note,) = [finding for finding in entry["findings"] if finding["rule"] == "vermagic"]
    assert note["level"] == "note"
    assert "not compared" in note["summary"]


def test_built_without_symvers(modcheck: Modcheck) -> None:
    debian = gate(modcheck, "debian-6.1-amd64/no-symvers/chrdevbase.ko", "--target", "debian-6.1-amd64/tree")
    assert verdicts(debian) == {"chrdevbase": ("refused", "ENOEXEC")}
    assert debian.document["modules"][0]["log"] == ["chrdevbase: no symbol version for module_layout"]
    words = ("rk3588-modversions/no-symvers/chrdevbase.ko", "--target", "rk3588-modversions/tree")
    unknown = gate(modcheck, *words)
    assert unknown.status == 3
    assert "--vendor" in unknown.document["modules"][0]["unchecked"][0]["needs"]
    upstream = gate(modcheck, *words, "--vendor", "upstream")
    assert upstream.status == 0
    assert "chrdevbase: no symbol version for module_layout" in upstream.document["modules"][0]["log"]
    assert verdicts(gate(modcheck, *words, "--vendor", "debian")) == {"chrdevbase": ("refused", "ENOEXEC")}


def test_armv6_on_armv7(modcheck: Modcheck) -> None:
    run = gate(modcheck, "sunxi/armv6/chrdevbase.ko", "--target", "sunxi/tree")
    (entry,) = run.document["modules"]
    assert entry["errno"] == "ENOEXEC"
    assert "ARMv6 p2v8 ' should be '6.1.176-sunxi SMP mod_unload ARMv7 thumb2 p2v8 '" in entry["log"][0]


@pytest.mark.parametrize(
    ("module", "kernel", "line"),
    [
        ("sunxi/chrdevbase.ko", "rk3588", "Invalid architecture in ELF header: 40"),
        ("rk3588/chrdevbase.ko", "sunxi", "Invalid architecture in ELF header: 183"),
        ("debian-6.1-amd64/chrdevbase.ko", "debian-6.1-arm64", "Invalid architecture in ELF header: 62"),
    ],
)
def test_another_architecture(modcheck: Modcheck, module: str, kernel: str, line: str) -> None:
    (entry,) = gate(modcheck, module, "--target", f"{kernel}/tree").document["modules"]
    assert (entry["verdict"], entry["errno"], entry["log"], entry["first"]) == ("refused", "ENOEXEC", [line], True)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_modules_own_symvers_is_no_kernels(modcheck: Modcheck, kernel: str) -> None:
    for name in ("own/Module.symvers", "Module.symvers"):
        run = modcheck(f"{kernel}/chrdevbase.ko", "--symvers", f"{kernel}/{name}")
        assert run.status == 2
        (line,) = run.stderr.splitlines()
        assert f"{kernel}/{name}" in line
        assert "no symbols of vmlinux" in line


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_set_is_loaded_in_order_by_modprobe_and_not_by_insmod(modcheck: Modcheck, kernel: str) -> None:
    files = [f"{kernel}/{name}.ko" for name in ("sample_import", "sample_export")]
    by_modprobe = gate(modcheck, *files, "--target", f"{kernel}/tree")
    assert verdicts(by_modprobe) == {"sample_import": ("loads", None), "sample_export": ("loads", None)}
    assert by_modprobe.document["modules"][0]["needs"] == ["sample_export"]
    by_insmod = gate(modcheck, *files, "--target", f"{kernel}/tree", "--loader", "insmod")
    assert verdicts(by_insmod) == {"sample_import": ("refused", "ENOENT"), "sample_export": ("loads", None)}
    log = by_insmod.document["modules"][0]["log"]
    assert log[-2:] == [
        "sample_import: Unknown symbol sample_scale (err -2)",
        "sample_import: Unknown symbol sample_sum (err -2)",
    ]
    loaded = ("--loaded", f"{kernel}/sample_export.ko", "--loader", "insmod")
    assert gate(modcheck, files[0], "--target", f"{kernel}/tree", *loaded).status == 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_licence_and_namespace(modcheck: Modcheck, kernel: str) -> None:
    modules = [f"{kernel}/{name}.ko" for name in ("sample_export", "sample_no_import", "sample_proprietary")]
    run = gate(modcheck, *modules, "--target", f"{kernel}/tree")
    assert verdicts(run) == {
        "sample_export": ("loads", None),
        "sample_no_import": ("refused", "EINVAL"),
        "sample_proprietary": ("refused", "ENOENT"),
    }
    entries = {entry["name"]: entry for entry in run.document["modules"]}
    rules = {
        name: [finding["rule"] for finding in entry["findings"] if finding["level"] == "error"]
        for name, entry in entries.items()
    }
    assert rules["sample_no_import"] == ["namespace"]
    assert rules["sample_proprietary"] == ["gpl-only-symbol"]
    assert entries["sample_no_import"]["log"][-2:] == [
        "sample_no_import: module uses symbol (sample_hidden) from namespace SAMPLE, but does not import it.",
        "sample_no_import: Unknown symbol sample_hidden (err -22)",
    ]


def test_a_refused_dependency_refuses(modcheck: Modcheck) -> None:
    run = gate(modcheck, "rk3588/sample_import.ko", "rk3588/no-suffix/sample_export.ko", "--target", "rk3588/tree")
    entry = run.document["modules"][0]
    assert (entry["verdict"], entry["errno"], entry["failed_in"]) == ("refused", "ENOEXEC", "sample_export")
    assert entry["log"][0].startswith("sample_export: version magic")
    assert entry["findings"][0]["rule"] == "dependency"


def test_a_board_known_by_config_and_release_alone(modcheck: Modcheck, tmp_path: Path) -> None:
    board = shutil.copy(SAMPLES / "rk3588/tree/.config", tmp_path / "running_kernel.config")
    words = ("--config", board, "--release", "6.1.176-rockchip-rk3588")
    wrong = gate(modcheck, "rk3588/no-suffix/chrdevbase.ko", *words)
    assert verdicts(wrong) == {"chrdevbase": ("refused", "ENOEXEC")}
    assert wrong.document["target"]["vermagic"] == "6.1.176-rockchip-rk3588 SMP mod_unload aarch64"
    right = gate(modcheck, "rk3588/chrdevbase.ko", *words)
    assert right.status == 3
    assert [unknown["rule"] for unknown in right.document["modules"][0]["unchecked"]] == ["unknown-symbol"]
    assert modcheck("rk3588/chrdevbase.ko", *words).status == 0


def test_a_dependency_that_nothing_describes_is_not_guessed(modcheck: Modcheck) -> None:
    """modprobe would load sample_export if it is installed; nobody has said what it exports."""
    words = ("rk3588/sample_import.ko", "--target", "rk3588/tree")
    run = gate(modcheck, *words)
    assert verdicts(run) == {"sample_import": ("unknown", None)}
    assert "sample_export" in run.document["modules"][0]["unchecked"][0]["needs"]
    assert verdicts(gate(modcheck, *words, "--loader", "insmod")) == {"sample_import": ("refused", "ENOENT")}
    loaded = gate(modcheck, *words, "--loader", "insmod", "--loaded", "sample_export")
    assert verdicts(loaded) == {"sample_import": ("unknown", None)}


def test_a_table_of_zeros_proves_nothing_about_crcs(modcheck: Modcheck, tmp_path: Path) -> None:
    """The CRCs of the kernel are on, says its .config, and the table was made without them."""
    zeros = tmp_path / "Module.symvers"
    zeros.write_bytes((SAMPLES / "rk3588/tree/Module.symvers").read_bytes())
    config = "rk3588-modversions/tree/.config"
    words = ("--symvers", zeros, "--config", config, "--release", "6.1.176-rockchip-rk3588")
    run = gate(modcheck, "rk3588-modversions/chrdevbase.ko", *words)
    assert run.status == 3
    rules = {unknown["rule"] for unknown in run.document["modules"][0]["unchecked"]}
    assert {"module-layout", "symbol-version"} == rules
    assert "has no CRC but zero" in run.document["target"]["notes"][0]


def test_a_newer_kernel_is_judged_by_the_newest_known_and_said_so(modcheck: Modcheck) -> None:
    run = gate(modcheck, "rk3588/chrdevbase.ko", "--target", "rk3588/tree", "--kernel-version", "9.1")
    assert any("9.1" in line and "newest" in line for line in run.document["assumed"])
