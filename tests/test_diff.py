"""`modcheck diff`: two kernels' exports, options and types, and the modules that break between one and the other."""

from __future__ import annotations

import lzma
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jsonschema
import made_kernel
import pytest
from conftest import SAMPLES, Run
from test_cli import one_line, schema

from modcheck.files import read_plain
from modcheck.module import Export
from modcheck.target import read_symvers
from modcheck.target.stablelist import read_stablelist

Modcheck = Callable[..., Run]
TYPES = Path(__file__).parent / "data/types"
AMD64, ARM64 = SAMPLES / "debian-6.1-amd64/tree", SAMPLES / "debian-6.1-arm64/tree"
CHRDEVBASE = TYPES / "plain/chrdevbase.ko.xz"
Row = tuple[str, ...]


def rows(path: Path) -> dict[str, Row]:
    """A Module.symvers read by nothing of modcheck's: by symbol CRC, module, kind, namespace."""
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    found = {}
    for line in text.splitlines():
        crc, name, module, kind, namespace = line.split("\t")
        found[name] = (crc, module.rpartition("/")[2].replace("-", "_"), kind, namespace)
    return found


def table(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def told(run: Run) -> Any:
    """The document, which its schema allows."""
    jsonschema.validate(run.document, schema("diff"))
    return run.document


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TYPES / "plain/Module.symvers.xz", TYPES / "cdev/Module.symvers.xz"),
        (TYPES / "plain/Module.symvers.xz", TYPES / "kobject/Module.symvers.xz"),
        (TYPES / "plain/Module.symvers.xz", AMD64 / "Module.symvers.xz"),
        (AMD64 / "Module.symvers.xz", ARM64 / "Module.symvers.xz"),
    ],
    ids=["cdev", "kobject", "another-version", "another-architecture"],
)
def test_symbols_are_those_of_a_set_comparison(modcheck: Modcheck, old: Path, new: Path) -> None:
    ours, theirs = rows(old), rows(new)
    run = modcheck("diff", "--format", "json", old, new)
    document = told(run)
    symbols = document["symbols"]
    assert {one["name"] for one in symbols["removed"]} == ours.keys() - theirs.keys()
    assert {one["name"] for one in symbols["added"]} == theirs.keys() - ours.keys()
    both = ours.keys() & theirs.keys()
    assert {one["name"] for one in symbols["changed"]} == {name for name in both if ours[name] != theirs[name]}
    for one in symbols["changed"]:
        before, after = ours[one["name"]], theirs[one["name"]]
        assert (one["old"]["crc"], one["new"]["crc"]) == (before[0], after[0])
        differ = [what for what, a, b in zip(("crc", "owner", "gpl", "namespace"), before, after) if a != b]
        assert sorted(one["what"]) == sorted(differ)
    assert document["summary"]["compared"] == len(ours)
    assert run.status == 0  # no module was given, and nothing is said to be protected


@pytest.mark.parametrize(
    ("variant", "errno", "symbols"),
    [
        ("cdev", "EINVAL", ["cdev_add", "cdev_init", "cdev_del"]),
        ("kobject", "ENOEXEC", ["module_layout"]),
        ("plain", None, []),
    ],
)
def test_modules_that_break_as_on_the_booted_kernels(
    modcheck: Modcheck, tmp_path: Path, variant: str, errno: str | None, symbols: list[str]
) -> None:
    """data/types/README.md has what each kernel answered."""
    run = modcheck("diff", "--format", "json", tree(tmp_path, "plain"), tree(tmp_path, variant, "new"), CHRDEVBASE)
    (entry,) = told(run)["modules"]
    assert run.status == (1 if errno else 0)
    assert (entry["old"], entry["new"]) == ("loads", "refused" if errno else "loads")
    assert (entry["errno"], entry["breaks"]) == (errno, errno is not None)
    assert entry["symbols"][: len(symbols)] == symbols


def test_the_text_says_what_decides_first(modcheck: Modcheck, tmp_path: Path) -> None:
    run = modcheck("diff", tree(tmp_path, "plain"), tree(tmp_path, "cdev", "new"), CHRDEVBASE)
    lines = run.stdout.splitlines()
    assert lines[0] == "6.1.176-types -> 6.1.176-types"
    assert "modules: 1 of 1 break" in lines
    assert f"  {CHRDEVBASE}: refused (EINVAL), symbol-version: cdev_add, cdev_init, cdev_del" in lines
    assert "symbols: 0 removed, 231 changed, 0 added, 3159 as they were" in lines
    (explained,) = (line for line in lines if line.startswith("  struct cdev"))
    assert "has `unsigned int board_flags` at byte 96 in the new one, and not in the old kernel" in explained
    assert any("have the same options" in line for line in lines)
    whole = modcheck("diff", "-v", tree(tmp_path, "plain", "a"), tree(tmp_path, "cdev", "b"), CHRDEVBASE)
    assert len(whole.stdout.splitlines()) > 230


def tree(folder: Path, variant: str, name: str = "old") -> Path:
    """A kernel's tree with its BTF."""
    path = folder / name
    (path / "include/generated").mkdir(parents=True)
    (path / "include/generated/utsrelease.h").write_text('#define UTS_RELEASE "6.1.176-types"\n')
    (path / ".config").write_bytes(read_plain(TYPES / "config.xz"))
    (path / "Module.symvers").write_bytes(read_plain(TYPES / variant / "Module.symvers.xz"))
    (path / "vmlinux").write_bytes(read_plain(TYPES / variant / "btf.xz"))
    return path


def test_symbols_that_move(modcheck: Modcheck, tmp_path: Path) -> None:
    """To GPL-only, into a namespace, from the kernel into a module: each is told, with what it was."""
    old = ["0x00000001\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t"]
    old += [f"0x0000000{n}\tsymbol_{n}\tvmlinux\tEXPORT_SYMBOL\t" for n in range(2, 7)]
    new = list(old)
    new[1] = new[1].replace("EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL")
    new[2] += "USB"
    new[3] = new[3].replace("vmlinux", "drivers/usb/usb-core")
    new[4] = new[4].replace("0x00000005", "0x00000050")
    del new[5]
    document = told(modcheck("diff", "--format", "json", table(tmp_path / "a", old), table(tmp_path / "b", new)))
    changed = {one["name"]: one for one in document["symbols"]["changed"]}
    assert {name: one["what"] for name, one in changed.items()} == {
        "symbol_2": ["gpl"],
        "symbol_3": ["namespace"],
        "symbol_4": ["owner"],
        "symbol_5": ["crc"],
    }
    assert changed["symbol_4"]["new"]["owner"] == "usb_core"
    assert [one["name"] for one in document["symbols"]["removed"]] == ["symbol_6"]
    text = modcheck("diff", tmp_path / "a", tmp_path / "b").stdout
    for words in ("for all -> GPL-only", "namespace none -> USB", "vmlinux -> usb_core", "0x00000005 -> 0x00000050"):
        assert words in text


def test_options_are_told_apart_by_what_they_touch(modcheck: Modcheck) -> None:
    trees = (SAMPLES / "rk3588/tree", SAMPLES / "rk3588-modversions/tree")
    document = told(modcheck("diff", "--format", "json", *trees))
    options = {one["option"]: one for one in document["options"]}
    assert options["MODVERSIONS"] == {
        "option": "MODVERSIONS", "old": "n", "new": "y", "touches": ["vermagic", "loading"], "structures": [],
    }  # fmt: skip
    assert "no CRCs on one side: versions cannot be compared" in document["notes"]
    assert document["symbols"]["changed"] == []
    far = told(modcheck("diff", "--format", "json", trees[0], ARM64))["options"]
    layout = {one["option"]: one["structures"] for one in far if "layout" in one["touches"]}
    assert "module" in layout["KPROBES"]
    assert {"TRACEPOINTS", "MEMCG", "NUMA"} <= set(layout)
    assert any(not one["touches"] for one in far)
    text = modcheck("diff", trees[0], ARM64).stdout
    assert " without effect on vermagic, loading" in text
    assert "options of vermagic: " in text


STABLELISTS = {
    "one-a-line": "cdev_add\n\ncdev_del\n# a comment\n",
    "red-hat": "[rhel9_aarch64_stablelist]\n\tcdev_add\n\tcdev_del\n",
    "red-hat-5": "[rhel5_arch_x86_64_kernel_ga]\n\tcdev_add\n[rhel5_block_u1]\n\tcdev_del\n",
    "red-hat-with-crcs": "0x2cf83220\tcdev_add\tvmlinux\tEXPORT_SYMBOL\t\n0xcb1395ca\tcdev_del\tvmlinux\tEXPORT_SYMBOL",
    "android": "[abi_symbol_list]\n# commonly used symbols\n  cdev_add\n\n  cdev_del\n",
    "suse": "# kabi/severities\ncdev_add\tFAIL\ncdev_del FAIL\nvmlinux PASS\n* PASS\n",
    "suse-with-words": "SYMBOL cdev_[x]* PASS\nSYMBOL cdev_add FAIL\nSYMBOL cdev_del FAIL\nMODULE * PASS\n",
}


@pytest.mark.parametrize("form", STABLELISTS)
def test_a_list_of_protected_symbols_restricts_to_them(modcheck: Modcheck, tmp_path: Path, form: str) -> None:
    """In each form: two of the changed symbols are protected, so the update breaks a promise."""
    path = tmp_path / "list"
    path.write_text(STABLELISTS[form])
    words = (TYPES / "plain/Module.symvers.xz", TYPES / "cdev/Module.symvers.xz", "--stablelist", path)
    run = modcheck("diff", "--format", "json", *words)
    document = told(run)
    assert [one["name"] for one in document["symbols"]["changed"]] == ["cdev_add", "cdev_del"]
    assert document["summary"]["compared"] == 2
    assert run.status == 1
    same = (TYPES / "plain/Module.symvers.xz", TYPES / "plain/Module.symvers.xz", "--stablelist", path)
    assert modcheck("diff", *same).status == 0


def test_listed_symbols_that_neither_kernel_has_are_told(modcheck: Modcheck, tmp_path: Path) -> None:
    """A list for another kernel must not pass for kept promises."""
    tables = (TYPES / "plain/Module.symvers.xz", TYPES / "plain/Module.symvers.xz")
    path = table(tmp_path / "list", ["cdev_add", "no_such_symbol"])
    run = modcheck("diff", *tables, "--stablelist", path)
    assert run.status == 0
    assert "1 of 2 listed symbols are in neither kernel: no_such_symbol" in run.stdout
    one_line(modcheck("diff", *tables, "--stablelist", table(path, ["no_such_symbol"])), "none of its symbols")
    path.write_bytes(b"\x7fELF\0\0")
    one_line(modcheck("diff", *tables, "--stablelist", path), "binary file")


def test_a_promise_is_not_kept_by_a_kernel_of_which_nothing_is_known(modcheck: Modcheck, tmp_path: Path) -> None:
    path = table(tmp_path / "list", ["module_layout"])
    words = (SAMPLES / "rk3588-modversions/tree", SAMPLES / "rk3588-modversions/tree/.config", "--stablelist", path)
    run = modcheck("diff", *words)
    assert run.status == 3
    assert "symbols are not compared" in run.stdout
    zero = table(tmp_path / "zero", ["0x00000000\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t"])
    with_crc = table(tmp_path / "crc", ["0x00000001\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t"])
    assert modcheck("diff", with_crc, zero, "--stablelist", path).status == 3


def test_modules_from_here_and_there(modcheck: Modcheck, tmp_path: Path) -> None:
    """Paths relative and absolute, more than a few."""
    trees = (SAMPLES / "rk3588/tree", SAMPLES / "rk3588/tree")
    run = modcheck("diff", *trees, "rk3588/chrdevbase.ko", *sorted((SAMPLES / "rk3588").glob("sample_*.ko")))
    assert run.status == 1  # sample_proprietary and its like are refused by both
    assert "0 of 6 break" in run.stdout


def test_kernels_that_were_swapped_are_noticed(modcheck: Modcheck, tmp_path: Path) -> None:
    run = modcheck("diff", tree(tmp_path, "cdev"), tree(tmp_path, "plain", "new"), CHRDEVBASE)
    assert run.status == 0
    assert (
        f"  refused by the old one, not by the new (are OLD and NEW swapped?): {CHRDEVBASE}" in run.stdout.splitlines()
    )


def test_exports_that_only_their_users_tell_are_never_told_as_gone(modcheck: Modcheck, tmp_path: Path) -> None:
    """A modules directory without image: the kernel's own exports are known as far as its modules use them."""
    modules = sorted((Path(__file__).parent / "data/modules/amd64-6.1.0-56-amd64").glob("*.ko.xz"))
    folders = []
    for name, some in (("old", modules), ("new", modules[:2])):
        folder = tmp_path / name / "lib/modules/6.1.0-56-amd64"
        (folder / "kernel").mkdir(parents=True)
        for module in some:
            shutil.copy(module, folder / "kernel")
        (folder / "modules.order").touch()
        folders.append(folder)
    document = told(modcheck("diff", "--format", "json", *folders))
    assert document["summary"]["compared"] > 0
    assert (document["symbols"]["removed"], document["symbols"]["added"]) == ([], [])
    assert "none can be told as" in document["notes"][0]
    lost = sorted({*document["symbols"]["unknown"]} - {one["name"] for one in document["symbols"]["changed"]})
    assert lost
    names = table(tmp_path / "list", lost[:1])
    assert modcheck("diff", *folders, "--stablelist", names).status == 3  # a promise that cannot be judged is not kept


def test_a_folder_with_a_file_for_each_protected_symbol(tmp_path: Path) -> None:
    (tmp_path / "cdev_add").write_text("#8-\n0x2cf83220\tcdev_add\tvmlinux\tEXPORT_SYMBOL\t\n")
    assert read_stablelist(str(tmp_path)).names == {"cdev_add"}


def test_suses_first_rule_that_fits_decides(tmp_path: Path) -> None:
    path = tmp_path / "severities"
    path.write_text("drivers/nvme/host/nvme-fc* FAIL\ndrivers/nvme/host/* PASS\nUSB_* PASS\nkvm_* PASS\n")
    found = read_stablelist(str(path))
    row = Export("symbol", 1, False, "", "nvme")
    assert found.covers(row, "drivers/nvme/host/nvme-fc")
    assert not found.covers(row, "drivers/nvme/host/nvme-core")
    assert not found.covers(row._replace(namespace="USB_STORAGE"), "drivers/usb/x")
    assert not found.covers(row._replace(name="kvm_get"), "vmlinux")
    assert found.covers(row, "vmlinux")


def test_a_promise_is_broken_by_what_takes_users_away_alone(modcheck: Modcheck, tmp_path: Path) -> None:
    """A symbol that is for more users than before, or moved, is none."""
    old = table(tmp_path / "a", ["0x00000001\tone\tvmlinux\tEXPORT_SYMBOL_GPL\tNS"])
    names = table(tmp_path / "list", ["one"])
    free = table(tmp_path / "b", ["0x00000001\tone\tvmlinux\tEXPORT_SYMBOL\t"])
    assert modcheck("diff", old, free, "--stablelist", names).status == 0
    assert modcheck("diff", free, old, "--stablelist", names).status == 1
    other = table(tmp_path / "c", ["0x00000001\tother\tvmlinux\tEXPORT_SYMBOL\t"])
    assert modcheck("diff", free, other, "--stablelist", names).status == 1
    assert modcheck("diff", free, other).status == 0


def test_bad_input_is_one_line_and_exit_2(modcheck: Modcheck, tmp_path: Path) -> None:
    good = TYPES / "plain/Module.symvers.xz"
    one_line(modcheck("diff", good, tmp_path / "missing"), "missing", "no such file")
    path = tmp_path / "list"
    path.write_text("cdev_add\n=== not a symbol\n")
    one_line(modcheck("diff", good, good, "--stablelist", path), "list:2", "neither a symbol nor a row")
    path.write_text("# nothing\n")
    one_line(modcheck("diff", good, good, "--stablelist", path), "no symbol")
    run = modcheck("diff", "--format", "json", good, tmp_path / "missing")
    assert run.status == 2
    assert "missing" in told(run)["error"]
    run = modcheck("diff", good, good, tmp_path / "missing.ko")
    assert run.status == 2
    assert "as they were" in run.stdout  # one bad file does not stop the rest


def test_what_is_not_known_is_not_a_difference(modcheck: Modcheck, tmp_path: Path) -> None:
    """Of a kernel that is known by its image alone, the exports of its modules are not missed; its own are."""
    own = [row for row in read_symvers(AMD64 / "Module.symvers.xz") if row.owner == "vmlinux"]
    image = tmp_path / "Image"
    image.write_bytes(made_kernel.table(own[:-1]))
    document = told(modcheck("diff", "--format", "json", AMD64 / "Module.symvers.xz", image))
    assert [one["name"] for one in document["symbols"]["removed"]] == [own[-1].name]
    assert document["symbols"]["changed"] == []
    assert "what the modules of the new one export is not known" in document["notes"][0]
    back = told(modcheck("diff", "--format", "json", image, AMD64 / "Module.symvers.xz"))
    assert [one["name"] for one in back["symbols"]["added"]] == [own[-1].name]


def test_of_one_name_those_of_the_folder_go_first(modcheck: Modcheck) -> None:
    """Drivers built for the old kernel and for the new one: each needs the exporter that lies beside it."""
    built = [f"{folder}/sample_{name}.ko" for folder in (ARM64.parent, AMD64.parent) for name in ("export", "import")]
    for order in (built, built[::-1]):
        document = told(modcheck("diff", str(ARM64), str(AMD64), *order, "--format", "json"))
        assert {one["path"]: (one["old"], one["new"]) for one in document["modules"]} == {
            **dict.fromkeys(built[:2], ("loads", "refused")),
            **dict.fromkeys(built[2:], ("refused", "loads")),
        }
