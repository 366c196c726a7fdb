"""The judge on real modules with single facts replaced, and on targets that lack or contradict facts."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, Run
from truth import sections_of

from modcheck import Module, Prediction, Target, predict, predict_all, read_module, read_target
from modcheck.errors import TargetError
from modcheck.loader.facts import Finding, Load
from modcheck.loader.stages.relocation import relocation
from modcheck.loader.together import Together
from modcheck.loader.walk import walks_of
from modcheck.module import Export, Symbol
from modcheck.target import Symbols, Symvers
from modcheck.target.builtin import Builtin
from modcheck.target.kconfig import Config
from modcheck.version import Version

Modcheck = Callable[..., Run]

DEBIAN = read_target(SAMPLES / "debian-6.1-amd64/tree")
RK3588 = read_target(SAMPLES / "rk3588/tree")
CHRDEVBASE = read_module(SAMPLES / "rk3588/chrdevbase.ko")
EXPORT = read_module(SAMPLES / "rk3588/sample_export.ko")
IMPORT = read_module(SAMPLES / "rk3588/sample_import.ko")
NAMESPACE = read_module(SAMPLES / "rk3588/sample_namespace.ko")


def with_info(module: Module, **values: str) -> Module:
    """The module with these modinfo values put first."""
    kept = tuple(pair for pair in module.modinfo if pair[0] not in values)
    return replace(module, modinfo=(*((tag, value) for tag, value in values.items()), *kept))


def with_config(target: Target, **options: str) -> Target:
    """The target with options of its .config replaced."""
    assert target.config is not None
    text = f"# Linux/arm64 {target.config.version_text} Kernel Configuration\n"
    known = dict.fromkeys(
        ("MODULES", "MODULE_UNLOAD", "MODULE_SIG", "MODULE_FORCE_LOAD", "STRICT_MODULE_RWX", "SMP", "MODVERSIONS"), "n"
    )
    known = {name: target.config.get(name) for name in known} | options
    text += "".join(f"CONFIG_{name}={value}\n" for name, value in known.items() if value != "n")
    return replace(target, config=Config(text, "test"))


def at(target: Target, *version: int) -> Target:
    return replace(target, version=Version(*version))


def rules(prediction: Prediction, level: str = "error") -> list[str]:
    return [finding.rule for finding in prediction.findings if finding.level == level]


def unchecked(prediction: Prediction) -> set[str]:
    return {unknown.rule for unknown in prediction.unchecked}


def test_two_modules_that_need_each_other_are_not_said_to_load() -> None:
    back = Symbol("imported_back", 1, 0, 0)
    one = replace(EXPORT, symbols=(*EXPORT.symbols, back))
    other = replace(IMPORT, exports=(Export("imported_back", None, False, "", "sample_import"),))
    prediction = predict(one, RK3588, modules=[one, other])
    assert prediction.verdict == "unknown"
    assert "dependency" in unchecked(prediction)


def test_a_module_that_is_not_in_the_set_may_need_itself() -> None:
    assert RK3588.symbols
    table = Symvers(b"0x00000000\timported_back\tsample_import\tEXPORT_SYMBOL\t\n", "test")
    kernel = replace(RK3588, symbols=Symbols([*RK3588.symbols.tables, table]))
    needing = replace(EXPORT, symbols=(*EXPORT.symbols, Symbol("imported_back", 1, 0, 0)))
    prediction = predict(IMPORT, kernel, modules=[needing])
    assert prediction.verdict == "unknown"
    assert "dependency" in unchecked(prediction)


def test_what_a_loaded_module_needs_is_judged_beside_it() -> None:
    """What it exports was there before, when another that exports the same is tried."""
    twice = [Export("twice", None, False, "", name) for name in ("sample_import", "sample_export")]
    one = replace(with_info(IMPORT, intree="Y"), exports=(twice[0],))
    other = replace(with_info(EXPORT, intree="Y"), exports=(*EXPORT.exports, twice[1]))
    prediction = predict(other, RK3588, modules=[one, other], loaded=[one])
    assert prediction.log == ("sample_export: exports duplicate symbol twice (owned by sample_import)",)


def test_what_a_kernel_does_not_read_of_a_build_it_does_not_read_of_the_next_module() -> None:
    """Up to 6.3 a .modinfo that is not to be loaded is none: no licence."""
    sections = CHRDEVBASE.elf.sections
    bare = [one._replace(sh_flags=0) if one.name == ".modinfo" else one for one in sections]
    one = replace(CHRDEVBASE, elf=CHRDEVBASE.elf._replace(sections=sections_of(bare)))
    foreign = at(replace(RK3588, arch="x86_64"), 6, 1, 176)
    found = predict_all([one, replace(one, path="other.ko")], foreign, until_refused=True)
    assert [(rules(each), each.proprietary) for each in found] == [(["arch"], True)] * 2


def test_two_modules_at_one_path_are_not_taken_for_each_other() -> None:
    other = replace(CHRDEVBASE, path=EXPORT.path, symbols=(*CHRDEVBASE.symbols, Symbol("gone", 1, 0, 0)))
    together = [EXPORT, IMPORT]
    found = list(predict_all([IMPORT, EXPORT, other, EXPORT], RK3588, modules=together))
    assert [(one.name, one.verdict) for one in found] == [
        ("sample_import", "loads"), ("sample_export", "loads"), ("chrdevbase", "refused"), ("sample_export", "loads"),
    ]  # fmt: skip
    needing = replace(IMPORT, path=CHRDEVBASE.path)
    assert predict(CHRDEVBASE, RK3588, modules=together).needs == ()
    assert predict(needing, RK3588, modules=together).needs == ("sample_export",)


def test_a_gpl_only_symbol_of_a_proprietary_module_is_refused() -> None:
    """resolve_symbol() notes the GPL-only use before it looks at the owner's taint."""
    exporter = with_info(EXPORT, license="Proprietary")
    prediction = predict(IMPORT, RK3588, modules=[exporter, IMPORT])
    assert (prediction.verdict, prediction.errno) == ("refused", "ENOENT")
    assert "proprietary-taint" in rules(prediction)
    assert "using GPL-only symbols uses symbols sample_scale from proprietary module sample_export." in str(
        prediction.log
    )
    plain = replace(IMPORT, symbols=tuple(symbol for symbol in IMPORT.symbols if symbol.name != "sample_scale"))
    inherits = predict(plain, RK3588, modules=[exporter, plain])
    assert inherits.verdict == "loads"
    assert inherits.proprietary
    assert "inheriting taint" in inherits.log[-1]


def test_an_inherited_taint_goes_on_to_the_next() -> None:
    exporter = with_info(EXPORT, license="Proprietary")
    middle = replace(
        IMPORT,
        symbols=tuple(symbol for symbol in IMPORT.symbols if symbol.name != "sample_scale"),
        exports=(Export("of_the_middle", None, True, "", "sample_import"),),
    )
    last = replace(CHRDEVBASE, symbols=(*CHRDEVBASE.symbols, Symbol("of_the_middle", 1, 0, 0)))
    prediction = predict(last, RK3588, modules=[exporter, middle, last])
    assert (prediction.verdict, prediction.errno) == ("refused", "ENOENT")


@pytest.mark.parametrize(
    ("options", "errno", "log"),
    [
        ({"MODULES": "n"}, "ENOSYS", []),
        ({"MODULE_SIG": "y", "MODULE_SIG_FORCE": "y"}, "EKEYREJECTED", ["Loading of unsigned module is rejected"]),
        ({"MODULE_SIG": "y", "CMDLINE_BOOL": "y", "CMDLINE": '"quiet module.sig_enforce=1"'}, "EKEYREJECTED",
         ["Loading of unsigned module is rejected"]),
        ({"MODULE_SIG": "y", "LOCK_DOWN_KERNEL_FORCE_INTEGRITY": "y"}, "EPERM",
         ["Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7"]),
        ({"LOCK_DOWN_KERNEL_FORCE_INTEGRITY": "y"}, None, ["chrdevbase: loading out-of-tree module taints kernel."]),
    ],
)  # fmt: skip
def test_what_the_config_says_is_not_assumed_away(options: dict[str, str], errno: str | None, log: list[str]) -> None:
    prediction = predict(CHRDEVBASE, with_config(RK3588, **options))
    assert (prediction.errno, list(prediction.log)) == (errno, log)


@pytest.mark.parametrize(
    ("version", "errno", "log"),
    [
        ((5, 3, 0), "ENOKEY", ()),
        ((5, 4, 0), "EKEYREJECTED", ("Loading of unsigned module is rejected",)),
        ((5, 9, 0), "EKEYREJECTED", ("chrdevbase: Loading of unsigned module is rejected",)),
        ((5, 11, 0), "EKEYREJECTED", ("chrdevbase: loading of unsigned module is rejected",)),
        ((5, 13, 0), "EKEYREJECTED", ("Loading of unsigned module is rejected",)),
        ((5, 10, 200), "EKEYREJECTED", ("Loading of unsigned module is rejected",)),
    ],
)
def test_an_unsigned_module_by_version(version: tuple[int, ...], errno: str, log: tuple[str, ...]) -> None:
    target = at(with_config(RK3588, MODULE_SIG="y", MODULE_SIG_FORCE="y"), *version)
    prediction = predict(CHRDEVBASE, target)
    assert (prediction.errno, prediction.log) == (errno, log)


@pytest.mark.parametrize(
    ("version", "log"),
    [
        ((5, 9, 0), ()),
        ((5, 11, 0), ("Module has invalid ELF header",)),
        ((5, 13, 0), ("Module has invalid ELF structures",)),
        ((5, 10, 200), ("Module has invalid ELF structures",)),
        ((5, 16, 0), ("Invalid ELF section header overflow",)),
        ((7, 3, 0), ("Invalid ELF section header overflow",)),
    ],
)
def test_a_cut_file_by_version(version: tuple[int, ...], log: tuple[str, ...]) -> None:
    from modcheck.module import parse_module

    cut = parse_module((SAMPLES / "rk3588/chrdevbase.ko").read_bytes()[:2000], "cut.ko")
    prediction = predict(cut, at(RK3588, *version))
    assert (prediction.verdict, prediction.errno, prediction.log) == ("refused", "ENOEXEC", log)


@pytest.mark.parametrize(
    ("version", "errno", "lines"),
    [
        ((2, 6, 35), "ENOENT", ["Unknown symbol sample_scale"]),
        ((4, 16, 0), "ENOENT", ["Unknown symbol sample_scale (err 0)"]),
        ((4, 17, 0), "ENOENT", ["Unknown symbol sample_scale (err -2)"]),
    ],
)
def test_an_unknown_symbol_by_version(version: tuple[int, ...], errno: str, lines: list[str]) -> None:
    prediction = predict(IMPORT, at(RK3588, *version), loader="insmod")
    assert prediction.errno == errno
    for line in lines:
        assert f"sample_import: {line}" in prediction.log


def test_the_errno_is_that_of_the_last_bad_symbol() -> None:
    """An unknown symbol, then one whose namespace is missing: EINVAL; the other way round ENOENT."""
    hidden = next(symbol for symbol in NAMESPACE.symbols if symbol.name == "sample_hidden")
    absent = Symbol("no_such_symbol", 1, 0, 0)
    info = tuple(pair for pair in NAMESPACE.modinfo if pair[0] not in ("import_ns", "depends"))
    bare = replace(NAMESPACE, modinfo=info)
    for order, errno in (((absent, hidden), "EINVAL"), ((hidden, absent), "ENOENT")):
        module = replace(bare, symbols=order)
        prediction = predict(module, RK3588, modules=[EXPORT, module])
        assert prediction.errno == errno
        assert [line.split()[-1] for line in prediction.log if "Unknown" in line] == (
            ["-2)", "-22)"] if errno == "EINVAL" else ["-22)", "-2)"]
        )


def test_a_weak_symbol_may_be_missing_but_not_differ() -> None:
    target = read_target(SAMPLES / "rk3588-modversions/tree")
    module = read_module(SAMPLES / "rk3588-modversions/chrdevbase.ko")
    weak = replace(module, symbols=(Symbol("no_such_symbol", 2, 0, 0),))
    assert predict(weak, target).verdict == "loads"
    assert module.versions is not None
    versions = tuple((name, crc ^ (name == "cdev_add")) for name, crc in module.versions)
    differs = replace(module, symbols=(Symbol("cdev_add", 2, 0, 0),), versions=versions)
    assert (predict(differs, target).verdict, predict(differs, target).errno) == ("refused", "EINVAL")


def test_a_crc_is_compared_in_full() -> None:
    """On 64 bits the record is an unsigned long; bits above 31 refuse."""
    module = read_module(SAMPLES / "rk3588-modversions/chrdevbase.ko")
    assert module.versions is not None
    versions = tuple((name, crc | (1 << 40 if name == "cdev_add" else 0)) for name, crc in module.versions)
    prediction = predict(replace(module, versions=versions), read_target(SAMPLES / "rk3588-modversions/tree"))
    assert rules(prediction) == ["symbol-version"]


def test_an_unknown_version_refuses_only_what_every_version_refuses(tmp_path: Path) -> None:
    table = shutil.copy(SAMPLES / "debian-6.1-amd64/tree/Module.symvers.xz", tmp_path)
    lone = read_target(symvers=[table], arch="amd64")
    own = predict(read_module(SAMPLES / "debian-6.1-amd64/sample_export.ko"), lone)
    assert own.verdict == "unknown"
    assert "export-versions" in unchecked(own)
    foreign = predict(read_module(SAMPLES / "rk3588-modversions/chrdevbase.ko"), replace(lone, arch=None))
    assert (foreign.verdict, foreign.errno) == ("refused", "ENOEXEC")


def test_the_modversions_token_alone_can_refuse() -> None:
    lone = read_target(symvers=[SAMPLES / "rk3588-modversions/tree/Module.symvers"], release="6.1.176", arch="arm64")
    lone = replace(lone, config=None, vermagic=None)
    prediction = predict(CHRDEVBASE, lone)
    assert prediction.verdict == "refused"
    assert "vermagic" in rules(prediction)


def test_import_of_a_module_namespace_by_name() -> None:
    module = with_info(read_module(SAMPLES / "debian-6.1-amd64/chrdevbase.ko"), import_ns="module:kvm")
    target = replace(DEBIAN, this_module_size=module.this_module_size)
    assert predict(module, at(target, 6, 15, 0)).verdict == "loads"
    refused = predict(module, at(target, 6, 16, 0))
    assert refused.errno == "EPERM"
    assert refused.log[-1] == "chrdevbase: module tries to import module namespace: module:kvm"


def test_livepatch_lines_come_after_the_out_of_tree_line() -> None:
    module = with_info(read_module(SAMPLES / "debian-6.1-amd64/chrdevbase.ko"), livepatch="Y")
    target = replace(at(DEBIAN, 6, 8, 0), this_module_size=module.this_module_size)
    assert predict(module, target).log[:2] == (
        "chrdevbase: loading out-of-tree module taints kernel.",
        "chrdevbase: tainting kernel with TAINT_LIVEPATCH",
    )
    off = predict(with_info(CHRDEVBASE, livepatch="Y"), RK3588)
    assert off.errno == "ENOEXEC"
    assert off.log[-1].endswith("module is marked as livepatch module, but livepatch support is disabled")


def test_what_stands_for_a_kernels_own_module_may_not_fit_a_live_patch_that_is_loaded() -> None:
    """klp_module_coming() looks for what it patches in every module of that name."""
    patch = with_info(read_module(SAMPLES / "debian-6.1-amd64/chrdevbase.ko"), livepatch="Y")
    own = read_module(Path(__file__).parent / "data/modules/amd64-6.1.0-56-amd64/virtio_dma_buf.ko.xz")
    built_here = replace(own, modinfo=tuple(one for one in own.modinfo if one[0] != "intree"))
    for module, loaded, questions in (
        (built_here, [patch], ["whether chrdevbase patches virtio_dma_buf, and fits this build of it"]),
        (own, [patch], []),
        (built_here, [CHRDEVBASE], []),
        (replace(built_here, name="virtio_dma"), [patch], []),
    ):
        prediction = predict(module, DEBIAN, loaded=loaded)
        assert [one.needs for one in prediction.unchecked if one.rule == "livepatch"] == questions
    earlier = predict(built_here, at(DEBIAN, 4, 6, 0), loaded=[patch])
    assert "livepatch" not in [one.rule for one in earlier.unchecked]


@pytest.mark.parametrize(
    ("license_", "line"),
    [
        ("", "chrdevbase: module license '' taints kernel."),
        ("GPLv2", "chrdevbase: module license 'GPLv2' taints kernel."),
    ],
)
def test_licences_that_are_none(license_: str, line: str) -> None:
    assert line in predict(with_info(CHRDEVBASE, license=license_), RK3588).log


@pytest.mark.parametrize("license_", ["GPL", "GPL v2", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"])
def test_licences_to_the_letter(license_: str) -> None:
    assert predict(with_info(CHRDEVBASE, license=license_), RK3588).verdict == "loads"


def test_a_module_without_crcs_on_a_kernel_with_them() -> None:
    target = read_target(SAMPLES / "rk3588-modversions/tree")
    silent = predict(CHRDEVBASE, target)
    assert (silent.verdict, silent.errno, silent.log) == ("refused", "ENOEXEC", ())
    forced = predict(CHRDEVBASE, with_config(target, MODULE_FORCE_LOAD="y"))
    assert forced.log[0] == "chrdevbase: module_layout: kernel tainted."
    assert "version magic" in forced.log[2]


def test_that_report_is_drawn(modcheck: Modcheck) -> None:
    run = modcheck("rk3588/chrdevbase.ko", "--target", "rk3588-modversions/tree")
    assert run.status == 1
    assert "refuses without a word" in run.stdout


def test_already_loaded() -> None:
    for loader, verdict in (("insmod", "refused"), ("modprobe", "loads")):
        assert predict(CHRDEVBASE, RK3588, loader=loader, loaded=["chrdevbase"]).verdict == verdict
    assert predict(CHRDEVBASE, RK3588, loader="insmod", loaded=["chrdevbase"]).errno == "EEXIST"
    with_hyphen = predict(IMPORT, RK3588, loader="insmod", loaded=["sample-export"])
    assert with_hyphen.verdict == "unknown"


def test_a_second_provider_of_a_symbol_is_a_duplicate_export() -> None:
    twin = replace(IMPORT, exports=(Export("sample_sum", None, False, "", "sample_import"),))
    prediction = predict(twin, RK3588, modules=[EXPORT, twin])
    assert prediction.errno == "ENOEXEC"
    assert prediction.log[-1] == "sample_import: exports duplicate symbol sample_sum (owned by sample_export)"
    kernels = replace(CHRDEVBASE, exports=(Export("cdev_add", None, False, "", "chrdevbase"),))
    assert "(owned by kernel)" in predict(kernels, RK3588).log[-1]


def test_an_unknown_beside_the_refusal_makes_it_not_first() -> None:
    """One symbol is missing, another lacks its CRC and only the vendor would tell what then."""
    target = read_target(SAMPLES / "rk3588-modversions/tree")
    module = read_module(SAMPLES / "rk3588-modversions/chrdevbase.ko")
    assert module.versions is not None
    versions = tuple(pair for pair in module.versions if pair[0] != "cdev_add")
    module = replace(module, versions=versions, symbols=(Symbol("no_such_symbol", 1, 0, 0), *module.symbols))
    prediction = predict(module, target)
    assert (prediction.verdict, prediction.first) == ("refused", False)
    assert prediction.earlier_unknown == ("symbol-version",)
    assert predict(module, replace(target, vendor="debian")).errno == "EINVAL"


def test_ignoring_the_architecture_judges_the_rest(modcheck: Modcheck) -> None:
    words = ("--format", "json", "rk3588/chrdevbase.ko", "--target", "debian-6.1-amd64/tree", "--strict")
    run = modcheck(*words, "--ignore", "arch")
    assert run.status == 1
    assert "matched nothing" not in run.stderr


def test_ignoring_an_unknown_does_not_make_it_compared(modcheck: Modcheck, tmp_path: Path) -> None:
    lone = shutil.copy(SAMPLES / "sunxi/tree/Module.symvers", tmp_path)
    run = modcheck("--format", "json", "sunxi/chrdevbase.ko", "--symvers", lone, "--ignore", "vermagic")
    assert run.status == 3
    assert run.document["summary"]["ignored"] == 1
    assert "matched nothing" not in run.stderr


def stale_tree(tmp_path: Path, module: str) -> Path:
    """The rk3588 tree with one built module in it."""
    tree = tmp_path / "tree"
    shutil.copytree(SAMPLES / "rk3588/tree", tree)
    text = (tree / ".config").read_text().replace("Linux/arm64 6.1.176", "Linux/arm64 6.8.0")
    (tree / ".config").write_text(text)
    (tree / "built.ko").write_bytes((SAMPLES / module).read_bytes().replace(b"author=", b"intree="))
    (tree / "modules.order").write_text("built.ko\n")
    return tree


def test_a_stale_module_in_the_tree_does_not_speak_for_the_kernel(tmp_path: Path) -> None:
    tree = stale_tree(tmp_path, "rk3588/chrdevbase.ko")
    own = read_target(tree)
    assert own.this_module_size == CHRDEVBASE.this_module_size
    board = read_target(tree, release="6.8.0-board-rockchip-rk3588", same_build=True)
    assert board.vermagic == "6.8.0-board-rockchip-rk3588 SMP mod_unload aarch64"
    assert board.this_module_size is None
    assert any("another build" in note for note in board.notes)


def test_a_directory_of_modules_tells_release_and_struct_size(tmp_path: Path) -> None:
    stale_tree(tmp_path, "rk3588/chrdevbase.ko")
    target = read_target(modules_dir=tmp_path / "tree")
    assert (target.release, str(target.version)) == ("6.1.176-rockchip-rk3588", "6.1.176")
    assert target.this_module_size == CHRDEVBASE.this_module_size


def test_modules_of_another_release_are_another_kernel(tmp_path: Path) -> None:
    """Both are of what runs: neither can be left out."""
    stale_tree(tmp_path, "rk3588/chrdevbase.ko")
    with pytest.raises(
        TargetError, match=r"built\.ko: release is 6\.1\.176-rockchip-rk3588, but --release says 6\.8\.0"
    ):
        read_target(modules_dir=tmp_path / "tree", release="6.8.0-other")


@pytest.mark.parametrize(
    "words",
    [
        ("--modules-dir", "no/such/dir"),
        ("--modules-dir", "src"),
        ("--release", ""),
        ("--symvers", ""),
        ("--loaded", "missing.ko", "--target", "rk3588/tree"),
        ("--loaded", "src/sample.h", "--target", "rk3588/tree"),
        ("--target", "src/sample.h"),
    ],
)
def test_bad_descriptions(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    run = modcheck("rk3588/chrdevbase.ko", *words)
    assert run.status == 2
    assert len(run.stderr.splitlines()) == 1


def test_a_device_a_pipe_and_a_socket_are_no_modules(modcheck: Modcheck, tmp_path: Path) -> None:
    pipe, place = tmp_path / "pipe.ko", tmp_path / "socket.ko"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        for path in ("/dev/zero", pipe, place):
            run = modcheck(str(path), "--target", "rk3588/tree")
            assert (run.status, run.stderr) == (2, f"modcheck: {path}: not a regular file\n")


def test_a_report_goes_through_a_link_and_into_a_device(modcheck: Modcheck, tmp_path: Path) -> None:
    link, file = tmp_path / "link.json", tmp_path / "file.json"
    file.touch()
    link.symlink_to(file)
    words: tuple[Any, ...] = ("rk3588/chrdevbase.ko", "--target", "rk3588/tree")
    assert modcheck(*words, "--format", f"json:{link}").status == 0
    assert link.is_symlink()
    assert file.stat().st_size
    assert modcheck(*words, "--format", "json:/dev/null").status == 0
    assert not Path("/dev/null").is_file()


def test_rows_given_twice_answer_alike_however_often_they_are_asked_for() -> None:
    from modcheck.target.symvers import Symvers

    table = Symvers(b"0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\ta\tb\tEXPORT_SYMBOL_GPL\t\n", "t")
    assert {table.get("a") for _ in range(300)} == {Export("a", 1, False, "", "vmlinux")}


def test_debian_s_own_module_is_assumed_signed_and_a_foreign_one_is_not() -> None:
    modules = sorted((Path(__file__).parent / "data/modules").glob("amd64-6.1*/*.ko.xz"))
    own = read_module(modules[0])
    target = replace(DEBIAN, vermagic=own.vermagic, release=str(own.vermagic).split()[0])
    prediction = predict(own, target)
    assert "signature" not in unchecked(prediction)
    assert any("signed by its key" in text for text in prediction.assumed)
    foreign = predict(own, replace(target, vermagic="6.1.0-99-amd64 SMP preempt mod_unload modversions "))
    assert "signed; if the kernel does not know the key" in str(foreign.findings)
    insisting = replace(target, vermagic=foreign.module.vermagic + "x", cmdline="module.sig_enforce=1")
    assert "signature" in unchecked(predict(own, insisting))


def test_the_command_line_forbids_one_module_or_all() -> None:
    listed = replace(RK3588, cmdline="quiet module_blacklist=other,chrdevbase")
    prediction = predict(CHRDEVBASE, listed)
    assert (prediction.errno, prediction.log) == ("EPERM", ("Module chrdevbase is blacklisted",))
    assert predict(CHRDEVBASE, replace(RK3588, cmdline="module_blacklist=chrdev,chrdev-base")).verdict == "loads"
    assert predict(CHRDEVBASE, at(listed, 5, 9, 0)).log == ()
    assert predict(CHRDEVBASE, at(listed, 4, 4, 0)).errno is None
    assert predict(CHRDEVBASE, replace(RK3588, cmdline="nomodule")).errno == "EPERM"


def test_something_built_in_has_the_name() -> None:
    names, none = frozenset({"chrdevbase"}), frozenset[str]()

    def with_builtin(builtin: Builtin, *version: int) -> Prediction:
        return predict(CHRDEVBASE, at(replace(RK3588, builtin=builtin), *version), loader="insmod")

    prediction = with_builtin(Builtin(names, names, none, names), 6, 1, 176)
    assert (prediction.errno, prediction.log[-1]) == ("EINVAL", "chrdevbase: module is already loaded")
    bare = Builtin(names, names, none, none)
    assert with_builtin(bare, 6, 1, 176).verdict == "loads"
    assert "builtin-clash" in unchecked(with_builtin(bare, 7, 2, 0))
    assert "builtin-clash" in unchecked(with_builtin(Builtin(names, names, names, none), 6, 1, 176))
    assert "builtin-clash" in unchecked(with_builtin(Builtin(none, names, none, names), 6, 1, 176))


def test_extended_versions_need_a_name_each() -> None:
    tables = tuple(
        CHRDEVBASE.elf.sections[1]._replace(name=name, sh_flags=2)
        for name in ("__version_ext_crcs", "__version_ext_names")
    )
    elf = CHRDEVBASE.elf._replace(sections=sections_of((*CHRDEVBASE.elf.sections, *tables)))
    newest = at(RK3588, 6, 14, 0)
    refused = predict(replace(CHRDEVBASE, elf=elf, unnamed_versions=1), newest)
    assert "more extended version crcs than names" in refused.log
    assert "more extended version crcs than names" not in predict(replace(CHRDEVBASE, elf=elf), newest).log
    earlier = predict(replace(CHRDEVBASE, elf=elf, unnamed_versions=1), at(RK3588, 6, 13, 0))
    assert "more extended version crcs than names" not in earlier.log


def test_a_kernel_is_let_go_with_its_judge() -> None:
    """Else a matrix would hold the tables of all its kernels until Python looks for cycles."""
    together = Together(walks_of(RK3588), [IMPORT, EXPORT])
    assert together.predict(IMPORT).needs == ("sample_export",)
    kept = weakref.ref(together.visible)
    del together
    assert kept() is None


@pytest.mark.parametrize("version", [(6, 1, 176), (7, 3, 0)])
def test_a_header_that_reads_otherwise_on_another_processor(version: tuple[int, ...]) -> None:
    """A file cut short, whose bytes pass for the header of a whole one where words have 32 bits."""
    raw = bytearray(CHRDEVBASE.elf.raw_header)
    struct.pack_into("<I", raw, 32, 64)  # where section headers begin
    struct.pack_into("<HHH", raw, 46, 40, 5, 4)  # their size, how many they are, which has the names
    cut = CHRDEVBASE.elf._replace(raw_header=bytes(raw), sections=sections_of(()))
    module = replace(CHRDEVBASE, elf=cut)
    target = replace(at(RK3588, *version), arch="arm")
    assert rules(predict(module, target)) == ["arch"]
    assert predict(module, target, ignore=["arch"]).verdict != "loads"


def test_two_sections_of_one_name() -> None:
    """Up to 6.12 a complaint, in 7.3 a refusal; names of sections that are not loaded do not matter."""
    sections = CHRDEVBASE.elf.sections
    loaded = [place for place, section in enumerate(sections) if section.sh_flags & 2 and section.sh_size]
    apart = next(place for place, section in enumerate(sections) if place and not section.sh_flags & 2)

    def named_alike(one: int, other: int) -> Module:
        twin = sections[one]._replace(name=sections[other].name)
        elf = CHRDEVBASE.elf._replace(sections=sections_of((*sections[:one], twin, *sections[one + 1 :])))
        return replace(CHRDEVBASE, elf=elf, this_module_size=RK3588.this_module_size)

    kallsyms = with_config(RK3588, KALLSYMS="y", MODULE_UNLOAD="y")
    doubled = named_alike(loaded[0], loaded[1])
    assert "sysfs" in rules(predict(doubled, kallsyms), "warning")
    assert "sysfs" in rules(predict(doubled, at(kallsyms, 7, 3, 0)))
    assert "sysfs" not in rules(predict(named_alike(apart, loaded[1]), at(kallsyms, 7, 3, 0)))
    assert "sysfs" not in rules(predict(doubled, with_config(RK3588, KALLSYMS="n")), "warning")


def test_busybox_tries_twice() -> None:
    """Lines come once more, but for those that a kernel prints once; the words are busybox's."""
    prediction = predict(IMPORT, RK3588, loader="busybox")
    missing = [f"sample_import: Unknown symbol {name} (err -2)" for name in ("sample_scale", "sample_sum")]
    assert prediction.log == ("sample_import: loading out-of-tree module taints kernel.", *missing, *missing)
    assert prediction.message == "unknown symbol in module, or unknown parameter"
    assert predict(CHRDEVBASE, RK3588, loader="busybox").log == predict(CHRDEVBASE, RK3588, loader="insmod").log
    compressed = replace(IMPORT, compression="xz")
    assert len(predict(compressed, RK3588, loader="busybox").log) == 3


def test_androids_kernels_keep_symbols_to_themselves() -> None:
    protecting = with_config(at(RK3588, 6, 1, 0), MODULE_SIG_PROTECT="y", MODULE_SIG="y")
    assert "protected-symbol" in unchecked(predict(CHRDEVBASE, protecting))
    assert "protected-symbol" not in unchecked(predict(CHRDEVBASE, with_config(protecting, MODULE_SIG_PROTECT="n")))


def test_relocations_that_an_architecture_does_not_apply() -> None:
    """Real modules of seven architectures load; with one type that their loader lacks they do not."""
    folders = {
        "armhf-6.1.0-50-armmp": (10, "unknown relocation: 10", "ENOEXEC"),
        "riscv64-6.12.107+deb13-riscv64": (5, "Dynamic linking not supported in kernel modules PC = *", "EINVAL"),
        "ppc64el-6.1.0-50-powerpc64le": (66, "Unknown ADD relocation: 66", "ENOEXEC"),
        "s390x-6.1.0-50-s390x": (60, "unknown relocation: 60", "ENOEXEC"),
        "mips64el-6.1.0-50-5kc-malta": (3, "Unknown relocation type 3", "EINVAL"),
        "arm64-6.1.0-56-arm64": (300, "unsupported RELA relocation: 300", "ENOEXEC"),
        "amd64-6.1.0-56-amd64": (9, "Unknown rela relocation: 9", "ENOEXEC"),
    }
    for folder, (kind, text, errno) in folders.items():
        path = next((Path(__file__).parent / "data/modules" / folder).glob("*.ko.xz"))
        module = read_module(path)
        series = (6, 12, 107) if "6.12" in folder else (6, 1, 176)
        target = replace(at(DEBIAN, *series), arch=module.arch, config=with_config(DEBIAN, THUMB2_KERNEL="n").config)
        found = [answer.log[0].text for answer in relocation(_load(module, target)) if isinstance(answer, Finding)]
        assert found == [], folder
        first = module.relocations[0]
        broken = replace(module, relocations=(first._replace(types=((kind, 0),)), *module.relocations[1:]))
        (answer,) = relocation(_load(broken, target))
        assert isinstance(answer, Finding)
        assert (answer.log[0].text.endswith(text), answer.errno) == (True, errno), folder


def _load(module: Module, target: Target) -> Load:
    (walk,) = walks_of(target, loader="insmod")
    return Load(walk.terms, module)
