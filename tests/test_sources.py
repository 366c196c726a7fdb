"""One kernel, described by a root file system on disk, in tars, packages, a capture and a profile: always the same."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import made_kernel
import pytest
from conftest import SAMPLES, Run
from rewrite import with_modinfo, with_symbol
from test_ksymtab import table

from modcheck import archives, files, predict, read_module, read_target
from modcheck.errors import ModcheckError, TargetError, UnreadableError
from modcheck.module import Export
from modcheck.report.json import profile_document
from modcheck.target.btf import read_btf
from modcheck.target.ksymtab import kernel_exports

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RELEASE = "6.1.0-56-arm64"
VERMAGIC = f"{RELEASE} SMP mod_unload modversions aarch64"
BANNER = f"Linux version {RELEASE} (a@b) (gcc (Debian 12.2.0) 12.2.0) #1 SMP Debian 6.1.192-2 (2026-11-16)\n"
NOTES = b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0" + bytes(range(20))
SAMPLE = SAMPLES / "debian-6.1-arm64"
DEBIAN_ARM64 = Path(__file__).parent / "data/modules/arm64-6.1.0-56-arm64"
NAMES = ("sample_import", "sample_namespace", "chrdevbase", "sample_proprietary")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's 6.1 for arm64, as far as it is in the tests: its table in an image, modules as if they were its own."""
    top = tmp_path_factory.mktemp("root")
    folder = top / "lib/modules" / RELEASE
    (folder / "kernel").mkdir(parents=True)
    (top / "boot").mkdir()
    image = (BANNER.encode() + b"\0" + VERMAGIC.encode() + b"\0" + NOTES).ljust(8192, b"\0") + table("arm64-6.1")
    image = image.ljust(2 << 20, b"\xa5")
    (top / f"boot/vmlinuz-{RELEASE}").write_bytes(gzip.compress(image, mtime=0))
    shutil.copy(SAMPLE / "tree/.config", top / f"boot/config-{RELEASE}")
    for name in ("sample_export", "sample_import"):
        data = with_modinfo((SAMPLE / f"{name}.ko").read_bytes(), intree="Y")
        (folder / f"kernel/{name}.ko.xz").write_bytes(lzma.compress(data, check=lzma.CHECK_CRC32))
    (folder / "modules.order").write_text("kernel/sample_export.ko\nkernel/sample_import.ko\n")
    (folder / "modules.dep").write_text(
        "kernel/sample_export.ko.xz:\nkernel/sample_import.ko.xz: kernel/sample_export.ko.xz\n"
    )
    (folder / "modules.builtin").write_text("kernel/lib/crc16.ko\n")
    (folder / "modules.builtin.modinfo").write_bytes(b"crc16.license=GPL\0")
    (folder / "build").symlink_to("/usr/src/nowhere")
    (top / "etc/modprobe.d").mkdir(parents=True)
    (top / "etc/modprobe.d/local.conf").write_text(
        "options sample_import words=1\nsoftdep sample_import pre: crc-t10\n"
    )
    (folder / "modules.alias").write_text("alias crc-t1? sample_export\nalias usb:v1p* sample_import\n")
    return top


def said(source: Path) -> list[tuple[object, ...]]:
    """What is predicted with a source, of each sample and under both loaders."""
    target = read_target(source, cmdline="quiet", lockdown="none")
    found: list[tuple[object, ...]] = [
        (target.release, target.version, target.vendor, target.vermagic, target.arch, target.this_module_size),
        (target.symbols and target.symbols.count, target.modules and target.modules.release, target.builtin),
    ]
    for name in NAMES:
        for loader in ("modprobe", "insmod"):
            one = predict(read_module(SAMPLE / f"{name}.ko"), target, loader=loader)
            rules = [(each.rule, each.level, each.summary.replace(str(source), "ROOT")) for each in one.findings]
            found.append((name, loader, one.verdict, one.errno, one.log, one.needs, rules, one.unchecked))
    return found


def without_unsigned(found: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Without the line for the first unsigned module: a profile has of dependencies but the names, not whether they are
    signed."""

    def cut(value: object) -> object:
        return (
            tuple(line for line in value if "verification failed" not in str(line))
            if isinstance(value, tuple)
            else value
        )

    return [tuple(map(cut, row)) for row in found]


def tar(root: Path, path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as made:
        made.add(root, ".")
    return path


def deb(path: Path, data: bytes, suffix: str) -> Path:
    """A Debian package of that data.tar."""

    def member(name: str, content: bytes) -> bytes:
        return (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
        )

    path.write_bytes(
        b"!<arch>\n"
        + member("debian-binary", b"2.0\n")
        + member("control.tar", b"odd")
        + member(f"data.tar{suffix}", data)
    )
    return path


def cpio(root: Path) -> bytes:
    """The files below `root` as RPM packs them."""
    made = b""

    def add(name: str, mode: int, content: bytes) -> None:
        nonlocal made
        fields = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        made += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        made += bytes(-len(made) % 4) + content + bytes(-len(content) % 4)

    for path in sorted(root.rglob("*")):
        name = f"./{path.relative_to(root)}"
        if path.is_symlink():
            add(name, 0o120777, os.readlink(path).encode())
        elif path.is_dir():
            add(name, 0o040755, b"")
        else:
            add(name, 0o100644, path.read_bytes())
    add("TRAILER!!!", 0, b"")
    return made


def rpm(path: Path, payload: bytes) -> Path:
    def header(entries: int, store: int) -> bytes:
        return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", entries, store) + bytes(16 * entries) + b"s" * store

    signature = header(3, 41)
    lead = b"\xed\xab\xee\xdb\3\0".ljust(96, b"\0")
    path.write_bytes(lead + signature + bytes(-len(signature) % 8) + header(50, 777) + payload)
    return path


def captured(root: Path, path: Path) -> Path:
    """What the capture script makes of it, run on a board whose /proc and /sys lie beside it."""
    board = path.parent / "board"
    shutil.copytree(root, board, symlinks=True)
    for name, content in {
        "proc/version": BANNER.encode(),
        "proc/cmdline": b"root=/dev/sda quiet\n",
        "proc/sys/kernel/osrelease": f"{RELEASE}\n".encode(),
        "proc/sys/kernel/modules_disabled": b"0\n",
        "sys/kernel/notes": NOTES,
        "sys/kernel/security/lockdown": b"[none] integrity confidentiality\n",
        "sys/module/module/parameters/sig_enforce": b"N\n",
        "proc/modules": b"sample_export 16384 0 - Live 0x0\n",
        "proc/kallsyms": b"0 T _text\n",
    }.items():
        file = board / name
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (board / "sys/module/sample_export").mkdir()
    (board / "bin").mkdir()
    (board / "bin/uname").write_text("#!/bin/sh\necho aarch64\n")
    (board / "bin/uname").chmod(0o755)
    script = Path(__file__).parent.parent / "modcheck/cli/capture.sh"
    with path.open("wb") as out:
        environment = {**os.environ, "ROOT": str(board), "PATH": f"{board}/bin:{os.environ['PATH']}"}
        subprocess.run(
            ["dash" if shutil.which("dash") else "sh", script],
            check=True,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    return path


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "tar": lambda root, tmp: tar(root, tmp / "root.tar"),
    "tar.gz": lambda root, tmp: tar(root, tmp / "root.tgz", "w:gz"),
    "tar.xz": lambda root, tmp: tar(root, tmp / "root.tar.xz", "w:xz"),
    "deb xz": lambda root, tmp: deb(tmp / "linux.deb", lzma.compress(tar(root, tmp / "data.tar").read_bytes()), ".xz"),
    "deb zst": lambda root, tmp: deb(
        tmp / "linux.deb", zstd.compress(tar(root, tmp / "data.tar").read_bytes()), ".zst"
    ),
    "deb plain": lambda root, tmp: deb(tmp / "linux.deb", tar(root, tmp / "data.tar").read_bytes(), ""),
    "rpm zst": lambda root, tmp: rpm(tmp / "kernel.rpm", zstd.compress(cpio(root))),
    "rpm gz": lambda root, tmp: rpm(tmp / "kernel.rpm", gzip.compress(cpio(root))),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_archives_are_read_like_a_disk(root: Path, tmp_path: Path, kind: str) -> None:
    assert said(MAKERS[kind](root, tmp_path)) == said(root)


def test_what_is_said_of_the_root_file_system(root: Path) -> None:
    """So that the comparisons compare something."""
    facts, counts, *predictions = said(root)
    assert facts[0] == RELEASE
    assert facts[2:5] == ("debian", VERMAGIC, "arm64")
    assert counts[:2] == (10_973 + 3, RELEASE)
    verdicts = {(name, loader): (verdict, errno) for name, loader, verdict, errno, *_ in predictions}
    assert verdicts["sample_import", "modprobe"] == ("loads", None)
    assert verdicts["sample_import", "insmod"] == ("refused", "ENOENT")
    assert verdicts["sample_proprietary", "insmod"] == ("refused", "ENOENT")


def test_several_packages_in_a_folder(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in ("boot", "lib", "etc"):
        part = tmp_path / name
        shutil.copytree(root / name, part / name, symlinks=True)
        data = tar(part, tmp_path / f"{name}.tar").read_bytes()
        deb(folder / f"linux-{name}_1_arm64.deb", lzma.compress(data), ".xz")
    assert said(folder) == said(root)


def test_a_capture(root: Path, tmp_path: Path) -> None:
    path = captured(root, tmp_path / "board.tar")
    target = read_target(path)
    assert (target.cmdline, target.lockdown) == ("root=/dev/sda quiet", "none")
    assert (target.sig_enforce, target.modules_disabled) == (False, False)
    assert str(target.version) == "6.1.192"
    assert target.sys_module == frozenset({"module"})
    assert "kernel.modules_disabled=0" not in predict(read_module(SAMPLE / "chrdevbase.ko"), target).assumed
    # the board says of itself what nobody else could: the rest is as without
    assert said(path)[2:] == said(root)[2:]
    cut = tmp_path / "cut.tar"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4 & -512])
    with pytest.raises(ModcheckError, match=r"the capture is cut off|damaged archive"):
        read_target(cut)


def test_the_image_that_does_not_run(root: Path, tmp_path: Path) -> None:
    """An update without a reboot: the image in /boot is another build, though of the same release."""
    other = tmp_path / "root"
    shutil.copytree(root, other, symlinks=True)
    image = other / f"boot/vmlinuz-{RELEASE}"
    image.write_bytes(gzip.compress(gzip.decompress(image.read_bytes()).replace(NOTES, NOTES[::-1])))
    target = read_target(captured(other, tmp_path / "board.tar"))
    assert any("is not the kernel that runs there" in note for note in target.notes)
    assert target.symbols is not None
    assert not target.symbols.has_kernel


def test_modules_switched_off_on_the_board(root: Path, tmp_path: Path) -> None:
    path = captured(root, tmp_path / "board.tar")
    info = tarfile.TarInfo("proc/sys/kernel/modules_disabled")
    info.size = 2
    with path.open("ab") as made:  # behind the rest: the later member counts
        made.write(info.tobuf(tarfile.USTAR_FORMAT) + b"1\n".ljust(512, b"\0"))
    one = predict(read_module(SAMPLE / "chrdevbase.ko"), read_target(path))
    assert (one.verdict, one.errno) == ("refused", "EPERM")


def test_a_profile_says_what_its_source_says(modcheck: Callable[..., Run], root: Path, tmp_path: Path) -> None:
    profile = tmp_path / "board.json"
    assert modcheck("target", root, "-o", profile).stdout == ""
    assert without_unsigned(said(profile)) == without_unsigned(said(root))
    again = tmp_path / "again.json"
    modcheck("target", profile, "-o", again)
    first, second = (json.loads(path.read_text()) for path in (profile, again))
    kept = [
        {**one["data"], "symbols": None, "build": {**one["data"]["build"], "sources": []}} for one in (first, second)
    ]
    assert kept[0] == kept[1]
    assert [one["table"] for one in first["data"]["symbols"]] == [one["table"] for one in second["data"]["symbols"]]
    for word, changed in (
        ("made by a later modcheck", {**first, "profile": 3}),
        ("'data' is missing", {key: value for key, value in first.items() if key != "data"}),
        ("damaged profile", {**first, "data": {**first["data"], "btf": "AAAA"}}),
        ("damaged profile", {**first, "data": {**first["data"], "builtin": 7}}),
        ("damaged profile: vermagic is 5", {**first, "target": {**first["target"], "vermagic": 5}}),
        ("damaged profile: sources is None", {**first, "target": {**first["target"], "sources": None}}),
        ("no profile", {"schema": 1}),
    ):
        profile.write_text(json.dumps(changed))
        with pytest.raises(TargetError, match=word):
            read_target(profile)


def test_a_profile_of_the_first_form(modcheck: Callable[..., Run]) -> None:
    """Saved once, and kept: later versions must read it."""
    path = Path(__file__).parent / "data/profile/rk3588.json"
    tree = SAMPLES / "rk3588/tree"
    for module in ("rk3588/chrdevbase.ko", "rk3588/no-suffix/chrdevbase.ko", "sunxi/chrdevbase.ko"):
        kept, now = (
            modcheck("--format", "json", module, "--target", target, "--release", "6.1.176-rockchip-rk3588").document
            for target in (path, tree)
        )
        (one,), (other,) = kept["modules"], now["modules"]
        for entry in (one, other):  # causes name the files that they were found in
            entry["causes"] = [cause["cause"] for cause in entry["causes"]]
            entry["findings"] = [
                {**finding, "fix": len(finding["fix"]), "why": bool(finding["why"])} for finding in entry["findings"]
            ]
        assert one == other


def test_a_config_or_a_table_is_a_target_as_it_is(modcheck: Callable[..., Run]) -> None:
    """What --config and --symvers take is told by what is in it."""
    tree = SAMPLES / "rk3588/tree"
    words = ("--target", tree / ".config", "--target", tree / "Module.symvers", "--release", "6.1.176-rockchip-rk3588")
    run = modcheck("--format", "json", "rk3588/chrdevbase.ko", *words, "--same-build", "--strict")
    assert run.status == 0
    sources = run.document["target"]["sources"]
    assert (sources["config"], sources["symbols"]) == (str(tree / ".config"), str(tree / "Module.symvers"))


def test_without_image_nothing_is_guessed(root: Path, tmp_path: Path) -> None:
    """What modules refer to is known, with CRCs; of anything else nothing is said."""
    other = tmp_path / "root"
    shutil.copytree(root, other, symlinks=True)
    (other / f"boot/vmlinuz-{RELEASE}").unlink()
    target = read_target(other)
    assert target.symbols is not None
    known = {row.name for table in target.symbols.tables for row in table}
    assert "module_layout" in known
    own = predict(read_module(SAMPLE / "sample_import.ko"), target)
    assert own.verdict == "loads"  # all that it needs, installed modules need as well
    for module in ("chrdevbase", "sample_proprietary"):
        one = predict(read_module(SAMPLE / f"{module}.ko"), target)
        assert (one.verdict, [unknown.rule for unknown in one.unchecked]) == ("unknown", ["unknown-symbol"])
    stale = predict(read_module(SAMPLES / "rk3588-modversions/chrdevbase.ko"), target)
    assert stale.verdict == "refused"


def test_a_module_built_elsewhere_proves_nothing(root: Path, tmp_path: Path) -> None:
    """One in updates/ that was built for another kernel: image and modules are of one build all the same."""
    other = tmp_path / "root"
    shutil.copytree(root, other, symlinks=True)
    stale = other / f"lib/modules/{RELEASE}/updates/chrdevbase.ko"
    stale.parent.mkdir()
    shutil.copy(SAMPLES / "rk3588-modversions/chrdevbase.ko", stale)
    target = read_target(other)
    assert target.modules is not None
    assert not any("not of one build" in note for note in target.notes)
    (other / f"boot/vmlinuz-{RELEASE}").unlink()
    without = read_target(other)
    assert without.symbols is not None
    rows = {row.name: row.crc for one in without.symbols.tables for row in one}
    assert "__register_chrdev" not in rows
    crcs = {row.name: row.crc for row in kernel_exports(table("arm64-6.1")) or ()}
    assert rows["module_layout"] == crcs["module_layout"]


def test_modules_of_another_build_leave_nothing_behind(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "root"
    shutil.copytree(root, other, symlinks=True)
    for path in (other / f"lib/modules/{RELEASE}/kernel").iterdir():
        data = lzma.decompress(path.read_bytes())
        path.write_bytes(lzma.compress(with_modinfo(data, vermagic=VERMAGIC.replace("SMP", "SNP"))))
    target = read_target(other)
    assert any("are not of one build: vermagic is" in note for note in target.notes)
    assert (target.modules, target.builtin, target.this_module_size, target.entry_points) == (None,) * 4
    assert target.symbols is not None
    assert target.symbols.count == 10_973


def test_what_a_user_imports_tells_no_namespace_since_6_16(root: Path, tmp_path: Path) -> None:
    """A symbol may be for modules of certain names (EXPORT_SYMBOL_FOR_MODULES): they import nothing."""
    namespaces = {}
    for release in ("6.15.9-test", "6.16.0-test", "not-a-version"):
        folder = tmp_path / release / "lib/modules" / release
        shutil.copytree(root / f"lib/modules/{RELEASE}", folder, symlinks=True)
        vermagic = VERMAGIC.replace(RELEASE, release)
        for path in (folder / "kernel").iterdir():
            data = with_modinfo(lzma.decompress(path.read_bytes()), vermagic=vermagic)
            path.write_bytes(lzma.compress(data, check=lzma.CHECK_CRC32))
        target = read_target(folder)
        assert target.symbols is not None
        rows = [row for one in target.symbols.tables for row in one if row.inferred]
        assert "module_layout" in {row.name for row in rows}
        namespaces[release] = {row.namespace for row in rows}
    assert namespaces == {"6.15.9-test": {""}, "6.16.0-test": {"?"}, "not-a-version": {"?"}}


def test_what_an_unreadable_module_exports_is_not_the_kernels(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "root"
    shutil.copytree(root, other, symlinks=True)
    (other / f"boot/vmlinuz-{RELEASE}").unlink()
    (other / f"lib/modules/{RELEASE}/kernel/sample_export.ko.xz").write_bytes(b"")
    target = read_target(other)
    assert target.symbols is not None
    assert not [row for one in target.symbols.tables for row in one if row.name.startswith("sample_")]
    one = predict(read_module(SAMPLE / "sample_import.ko"), target, loader="insmod")
    rules = ["module-layout", "unknown-symbol"]  # nothing that can be read tells of either
    assert (one.verdict, [unknown.rule for unknown in one.unchecked]) == ("unknown", rules)


def test_a_target_is_one_kernel(root: Path, tmp_path: Path) -> None:
    """Nothing is passed over in silence: two images, another release, a profile and a second opinion."""
    folder, image = root / f"lib/modules/{RELEASE}", root / f"boot/vmlinuz-{RELEASE}"
    profile = tmp_path / "board.json"
    profile.write_text(json.dumps(profile_document(read_target(root), "test")))
    two = tmp_path / "two/boot"
    two.mkdir(parents=True)
    shutil.copy(image, two / "vmlinuz-old")
    plain = gzip.decompress(image.read_bytes())
    (two / "vmlinuz-new").write_bytes(gzip.compress(plain.replace(RELEASE.encode(), b"6.1.0-57-arm64")))
    for sources, options, words in (
        ((image, image), {}, "a second image, beside"),
        ((folder, folder), {}, "a second modules directory"),
        ((root, folder), {}, "a second modules directory"),
        ((profile, profile), {}, "a second profile"),
        ((profile,), {"kernel": image}, "a profile describes a whole kernel"),
        ((profile, folder), {}, "a profile describes a whole kernel"),
        ((root,), {"release": "6.1.0-57-arm64"}, f"holds {RELEASE}, and not 6.1.0-57-arm64"),
        ((two.parent,), {}, "not the only kernel there: 6.1.0-57-arm64, 6.1.0-56-arm64; --release picks one"),
        ((tmp_path / "nothing",), {}, "no such file or directory"),
        ((), {"kernel": profile}, "a JSON document, and no kernel image: give it to --target"),
        ((), {"kernel": tar(root, tmp_path / "root.tar")}, "a tar, and no kernel image: give it to --target"),
        ((), {"modules_dir": tmp_path / "root.tar"}, "goes to --target"),
    ):
        with pytest.raises(TargetError) as error:
            read_target(*sources, **options)
        assert words in str(error.value)
    assert read_target(two.parent, release=RELEASE).sources["release"] == "--release"
    assert said(profile)[0] == said(root)[0]


def test_a_tree_with_a_package_in_it_is_a_tree(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "tree", tmp_path / "tree")
    deb(tmp_path / "tree/linux-image.deb", b"", "")
    (tmp_path / "packages").mkdir()
    os.mkfifo(tmp_path / "packages/x.deb")
    assert read_target(tmp_path / "tree").release == RELEASE
    for path, words in ((tmp_path / "packages", "no image in boot/"), (tmp_path / "packages/x.deb", "neither a file")):
        with pytest.raises(TargetError, match=words):
            read_target(path)


def test_names_of_exports_without_their_crcs(root: Path, tmp_path: Path) -> None:
    """kallsyms of a board whose image nobody may read: what it does not name is not there; of the rest all is open."""
    other = tmp_path / "root"
    shutil.copytree(root, other, symlinks=True)
    (other / f"boot/vmlinuz-{RELEASE}").unlink()
    truth = kernel_exports(table("arm64-6.1")) or ()
    rows = [row for gpl in (False, True) for row in sorted(truth) if row.gpl == gpl]
    (other / "proc").mkdir()
    lines = ["0 T _text", *(f"0 r __ksymtab_{row.name}" for row in rows), "0 t init\t[sample_export]"]
    (other / "proc/kallsyms").write_text("\n".join(lines) + "\n")
    target = read_target(captured(other, tmp_path / "board.tar"))
    assert target.symbols is not None
    found = {row.name: row for one in target.symbols.tables for row in one if row.inferred}
    assert {name: row.gpl for name, row in found.items()} == {row.name: row.gpl for row in truth}
    crcs = {row.name: row.crc for row in truth}
    assert {name for name, row in found.items() if row.crc is not None} >= {"module_layout"}
    assert all(row.crc in (None, crcs[name]) for name, row in found.items())
    own = predict(read_module(SAMPLE / "sample_import.ko"), target)
    assert own.verdict == "loads"
    open_rules = {"symbol-version", "namespace"}
    one = predict(read_module(SAMPLE / "chrdevbase.ko"), target)
    assert (one.verdict, {unknown.rule for unknown in one.unchecked}) == ("unknown", open_rules)
    other_kernels = predict(read_module(SAMPLES / "rk3588-modversions/chrdevbase.ko"), target)
    assert (other_kernels.verdict, other_kernels.errno) == ("refused", "ENOEXEC")
    gpl_only = predict(read_module(SAMPLE / "sample_proprietary.ko"), target, loader="insmod")
    assert (gpl_only.verdict, gpl_only.errno) == ("refused", "ENOENT")


def test_headers_and_a_link_to_them_are_one(tmp_path: Path) -> None:
    """As Debian's headers packages have it: the tree, and /lib/modules/RELEASE/build, which leads to it."""
    tree = tmp_path / "root/usr/src/linux-headers-6.1"
    shutil.copytree(SAMPLE / "tree", tree)
    link = tmp_path / "root/lib/modules/6.1/build"
    link.parent.mkdir(parents=True)
    link.symlink_to("/usr/src/linux-headers-6.1")
    target = read_target(tar(tmp_path / "root", tmp_path / "headers.tar"))
    assert target.symbols is not None
    assert (target.release, target.symbols.complete, target.build.standing) == (RELEASE, True, "built")


@pytest.mark.parametrize("form", ["tar", "rpm", "deb"])
def test_hostile_archives(modcheck: Callable[..., Run], tmp_path: Path, form: str) -> None:
    """Names that lead out, loops, sizes that are lies: a line on stderr, and nothing written anywhere."""
    (tmp_path / "secret").write_text("mine")
    hostile = tmp_path / "in"
    hostile.mkdir()
    path = hostile / f"bad.{form}"
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as bad:
        for name, kind, link in (
            ("../../secret", tarfile.REGTYPE, ""),
            ("/etc/passwd", tarfile.REGTYPE, ""),
            ("lib", tarfile.SYMTYPE, "../../../../../../etc"),
            ("boot", tarfile.SYMTYPE, "boot"),
            ("usr/lib/modules/6.1.0/modules.order", tarfile.SYMTYPE, "../../../../../secret"),
            ("usr/lib/modules/6.1.0/vmlinuz", tarfile.SYMTYPE, "/proc/version"),
            ("dev/sda", tarfile.BLKTYPE, ""),
            ("a", tarfile.LNKTYPE, "b"),
            ("b", tarfile.LNKTYPE, "a"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            bad.addfile(info)
    data = made.getvalue()
    if form == "tar":
        path.write_bytes(data)
    elif form == "deb":
        deb(path, lzma.compress(data), ".xz")
    else:
        rpm(path, lzma.compress(b"070701" + b"ffffffff" * 13))
    before = sorted(tmp_path.rglob("*"))
    run = modcheck("target", path)
    assert run.status == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"modcheck: {path}: ")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "secret").read_text() == "mine"


def test_sizes_that_are_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LIMIT", 1 << 20)
    bomb = tmp_path / "bomb.deb"
    deb(bomb, lzma.compress(bytes(8 << 20)), ".xz")
    with pytest.raises(TargetError, match="more than 0 GiB once unpacked"):
        archives.Archive([str(bomb)])
    info = tarfile.TarInfo("proc/version")
    info.size = 1 << 40
    (tmp_path / "large.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(UnreadableError, match="damaged archive"):
        archives.Archive([str(tmp_path / "large.tar")])
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "pax.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    with pytest.raises(UnreadableError, match="a header is too large"):
        archives.Archive([str(tmp_path / "pax.tar")])
    deep = tarfile.TarInfo("a/" * 20_000)
    (tmp_path / "deep.tar").write_bytes(deep.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    with pytest.raises(TargetError, match="a name of 39999 characters"):
        archives.Archive([str(tmp_path / "deep.tar")])
    damaged = bytearray(lzma.compress(many(tmp_path / "many.tar").read_bytes()))
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "damaged.tar.xz").write_bytes(damaged)
    with pytest.raises(UnreadableError, match="damaged archive: corrupt input data"):
        archives.Archive([str(tmp_path / "damaged.tar.xz")])
    monkeypatch.setattr(archives, "MEMBERS", 10)
    with pytest.raises(TargetError, match="more than 10 members"):
        archives.Archive([str(many(tmp_path / "many.tar"))])
    monkeypatch.setattr(archives, "MEMBER_LIMIT", 100)
    monkeypatch.setattr(archives, "MEMBERS", 10_000)
    files.mount(tmp_path / "many.tar", archives.Archive([str(tmp_path / "many.tar")]))
    with pytest.raises(UnreadableError, match="more than 0 MiB"):
        files.read_bytes(tmp_path / "many.tar/0/file")


def many(path: Path) -> Path:
    with tarfile.open(path, "w") as made:
        for number in range(20):
            info = tarfile.TarInfo(f"{number}/file")
            info.size = 200
            made.addfile(info, io.BytesIO(bytes(200)))
    return path


def test_a_folder_in_an_archive_behind_links(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as made:
        for name, link in (("lib", "usr/lib"), ("usr/lib/again", "/usr/lib"), ("usr/lib/x.ko", "./real/x.ko")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, link
            made.addfile(info)
        info = tarfile.TarInfo("./usr/lib/real/x.ko")
        info.size = 3
        made.addfile(info, io.BytesIO(b"abc"))
    found = archives.Archive([str(path)])
    assert found.read("lib/x.ko", "x") == b"abc"
    assert found.read("lib/again/../lib/real/x.ko", "x") == b"abc"
    assert found.below("lib") == ["real/x.ko", "x.ko"]
    assert found.listed("lib/real") == ["x.ko"]
    assert not found.is_file("lib/real")
    with pytest.raises(UnreadableError, match="is a directory"):
        found.read("lib/real", "x")


def test_type_information_of_a_file_that_is_cut(tmp_path: Path) -> None:
    """It is not said to have none."""
    whole = files.read_plain(Path(__file__).parent / "data/modules/amd64-6.12.117+deb13-amd64/libie.ko.xz")
    path = tmp_path / "vmlinux"
    path.write_bytes(whole[: whole.index(b"~Module signature")])
    found = read_btf(str(path))
    assert found is not None
    assert len(found.data) == 1054
    for length in (0, 3, 64, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableError, match="ELF file"):
            read_btf(str(path))


def test_the_running_kernel(modcheck: Callable[..., Run]) -> None:
    """This machine's, by what may be read here: at least its release."""
    run = modcheck("target", "--running", "--format", "json")
    assert run.status == 0
    assert run.document["target"]["release"] == os.uname().release


def test_an_image_and_the_modules_say_who_exports_what(modcheck: Callable[..., Run], root: Path) -> None:
    """Nobody's table is needed: the kernel's own exports are the image's, and what is loaded first is at hand."""
    image = ("--kernel", root / f"boot/vmlinuz-{RELEASE}", "--config", root / f"boot/config-{RELEASE}")
    both = (SAMPLE / "sample_export.ko", SAMPLE / "sample_import.ko")
    assert modcheck(*both, *image, "--strict").status == 0
    assert modcheck(SAMPLE / "sample_export.ko", *image, "--strict").status == 0
    assert modcheck(*both, *image, "--strict", "--loaded", "sample_elsewhere").status == 3


def test_a_name_that_the_image_exports_already(root: Path, tmp_path: Path) -> None:
    target = read_target(kernel=root / f"boot/vmlinuz-{RELEASE}", config=root / f"boot/config-{RELEASE}")
    path = tmp_path / "sample_export.ko"
    path.write_bytes((SAMPLE / "sample_export.ko").read_bytes().replace(b"sample_sum\0", b"cdev_alloc\0"))
    one = predict(read_module(path), target)
    assert (one.verdict, one.errno) == ("refused", "ENOEXEC")
    assert one.log[-1] == "sample_export: exports duplicate symbol cdev_alloc (owned by kernel)"


def test_who_is_not_at_hand_may_export_anything(root: Path, tmp_path: Path) -> None:
    """Debian's rohm-regulator as if from elsewhere, and needing what is not there: who has that has perhaps more."""
    target = read_target(kernel=root / f"boot/vmlinuz-{RELEASE}", config=root / f"boot/config-{RELEASE}")
    path = tmp_path / "rohm-regulator.ko"
    data = lzma.decompress((DEBIAN_ARM64 / "rohm-regulator.ko.xz").read_bytes()).replace(b"intree=Y", b"intreX=Y")
    for name, rules in (("regmap_update_bits_base", set()), ("regmap_update_bits_basX", {"unknown-symbol"})):
        path.write_bytes(with_symbol(data, "regmap_update_bits_base", renamed=name))
        one = predict(read_module(path), target)
        assert {unknown.rule for unknown in one.unchecked} == rules | ({"duplicate-export"} if rules else set())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kernel", "boot/vmlinuz-{}"), ("10973, the kernel's own alone",)),
        (("--modules-dir", "lib/modules/{}"), ("the kernel's own as far as its modules use them",)),
        (("--modules-dir", "lib/modules/{}", "--kernel", "boot/vmlinuz-{}"), ("10976\n",)),
    ],
)
def test_whose_the_symbols_are(
    modcheck: Callable[..., Run], root: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    given = [root / one.format(RELEASE) if "/" in one else one for one in options]
    text = modcheck("target", *given).stdout
    assert "none of them the kernel's own" not in text
    assert all(word in text for word in words)


def test_a_table_of_modules_alone_has_none_of_the_kernels(modcheck: Callable[..., Run]) -> None:
    own = SAMPLES / "rk3588/Module.symvers"
    text = modcheck("target", "--symvers", own, "--release", "6.1.176-rockchip-rk3588").stdout
    assert "none of them the kernel's own" in text


def test_powerpcs_table_of_contents_is_nobodys_export(tmp_path: Path) -> None:
    """Its modules have an undefined `.TOC.`, which the kernel passes over."""
    path = Path(__file__).parent / "data/modules/ppc64el-6.1.0-50-powerpc64le/ac97_bus.ko.xz"
    module = read_module(path)
    assert {".TOC.", "bus_register"} < set(module.imports)
    rows = {row.name: row for row in kernel_exports(table("arm64-6.1")) or ()}
    rows |= {name: Export(name, crc, False, "", "vmlinux") for name, crc in module.versions or () if name}
    image = tmp_path / "vmlinux"
    image.write_bytes(made_kernel.table(list(rows.values())).ljust(2 << 20, b"\xa5"))
    one = predict(module, read_target(kernel=image, arch="ppc64el"))
    assert "duplicate-export" not in {unknown.rule for unknown in one.unchecked}
    assert "duplicate-export" in {unknown.rule for unknown in predict(module, read_target(kernel=image)).unchecked}
