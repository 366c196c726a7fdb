"""One build of a kernel: what ties a tree or a table to the board, what says that it is of another build, and that no
form of description passes what a booted kernel refused (evidence.py)."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import jsonschema
import made_kernel
import pytest
from conftest import ROOT, SAMPLES, Run
from evidence import BUILDS, Said, all_verdicts, capture, loose, summary, table

from modcheck import read_module, read_target
from modcheck.files import read_plain
from modcheck.target import read_symvers
from modcheck.target.builds import Build, Witness, tie
from modcheck.target.made_symbols import SYMBOL_OPTIONS
from modcheck.target.options import identifying
from modcheck.target.symvers import KERNEL, Symvers

Modcheck = Callable[..., Run]
#: a kernel, and the same release built again with a structure changed and an exported symbol gone
PLAIN, OTHER = BUILDS / "rk3588-modversions", BUILDS / "rk3588-modversions-struct"
RELEASE = (PLAIN / "board/osrelease").read_text().strip()


def board_image(board: Path, folder: Path, without: str = "") -> Path:
    """A flat image with the line of /proc/version, the notes and the export table of a board."""
    exports = [row for row in read_symvers(next(board.glob("tree/Module.symvers*"))) if row.owner == KERNEL]
    vermagic = read_module(next(board.glob("modules/*.ko"))).vermagic or ""
    banner = (board / "board/version").read_bytes().strip() + b"\n\0"
    before = banner + vermagic.encode() + b"\0" + (board / "board/notes").read_bytes()
    path = folder / f"Image-{board.name}"
    path.write_bytes(made_kernel.table([one for one in exports if one.name != without], before=before))
    return path


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    return list(all_verdicts(tmp_path_factory.mktemp("evidence")))


# what booted kernels say


def test_strict_passes_nothing_that_a_board_refuses(said: list[Said]) -> None:
    """Where nobody states that they are one build."""
    assert not [one for one in said if one.verdict.strict == "loads" and not one.row.accepted and not one.stated]
    refusals = [one for one in said if not one.row.accepted]
    assert len(refusals) > 100
    assert {one.verdict.strict_status for one in refusals if not one.stated} <= {1, 3}


def test_nothing_is_refused_that_a_board_takes(said: list[Said]) -> None:
    assert not [one for one in said if one.verdict.verdict == "refused" and one.row.accepted]
    assert not [one for one in said if one.verdict.strict == "refused" and one.row.accepted]


def test_without_strict_a_wrong_pass_is_an_assumption_that_is_told(said: list[Said]) -> None:
    """Each needs the table to be of the board's build, which nothing but its name says; none where evidence does."""
    wrong = [one for one in said if one.verdict.verdict == "loads" and not one.row.accepted]
    assert wrong
    assert not [one for one in wrong if "capture" in one.form or "no table" in one.form]


def test_the_table_in_docs_is_what_is_said(said: list[Said]) -> None:
    """`python -m tests.evidence` writes it."""
    page = (ROOT / "docs/builds.md").read_text()
    assert page.partition("<!-- evidence -->\n")[2].partition("<!-- /evidence -->")[0] == table(said) + summary(said)


def test_a_single_module_proves_its_own_symbols_alone(tmp_path: Path) -> None:
    """The board's heartbeat.ko agrees in every CRC with the other build's table; plain.ko imports one that differs."""
    words = (PLAIN / "tree", OTHER / "modules/heartbeat.ko")
    target = read_target(*words, config=OTHER / "board/config.gz")
    assert target.tied
    assert (target.tied.state, target.tied.by, target.tied.whole) == ("assumed", ("crcs", "config", "release"), False)
    unproven = target.tied.unproven(read_module(PLAIN / "modules/plain.ko").imports)
    assert "cdev_del" in unproven
    assert not target.tied.unproven(read_module(PLAIN / "modules/heartbeat.ko").imports)


# what ties


@pytest.mark.parametrize("board", [PLAIN, OTHER], ids=lambda one: one.name)
def test_the_line_of_proc_version(board: Path, tmp_path: Path) -> None:
    """A tree makes it of compile.h and utsversion.h: as the booted kernel printed it."""
    target = read_target(board / "tree", capture(board.name, tmp_path))
    assert target.build
    assert target.built_against
    assert target.build.banner == (board / "board/version").read_text().strip() == target.built_against.banner
    assert target.tied
    assert (target.tied.state, target.tied.by, target.tied.whole) == ("tied", ("banner",), True)


def test_an_image_tells_whose_table_it_is(tmp_path: Path, modcheck: Modcheck) -> None:
    own, other = (board_image(one, tmp_path) for one in (PLAIN, OTHER))
    table = loose(PLAIN / "tree", tmp_path)
    tied = read_target(symvers=[table], kernel=own).tied
    assert tied
    assert (tied.state, tied.by) == ("assumed", ("exports",))
    assert not tied.unproven(read_module(PLAIN / "modules/plain.ko").imports)
    untied = read_target(symvers=[table], kernel=other)
    assert untied.tied
    assert untied.tied.state == "other"
    assert untied.symbols
    assert not untied.symbols.find("memparse")
    run = modcheck(PLAIN / "modules/uses_gone.ko", "--symvers", table, "--kernel", other, "--loader", "insmod")
    assert run.status == 1
    assert "Unknown symbol memparse (err -2)" in run.stdout


def test_an_image_beside_its_own_tree(tmp_path: Path) -> None:
    assert read_target(PLAIN / "tree", kernel=board_image(PLAIN, tmp_path)).tied.by == ("banner",)  # type: ignore[union-attr]
    tied = read_target(PLAIN / "tree", kernel=board_image(OTHER, tmp_path)).tied
    assert tied
    assert any(text.startswith("banner: ") for text in tied.against)
    assert any(text.startswith("CRC of ") for text in tied.against)


def test_a_build_id() -> None:
    runs, built = (Build("runs", release=RELEASE, build_id="ab12"), Build("built", release=RELEASE, build_id="ab12"))
    assert tie(runs, built, None, "T", []).by == ("build-id",)
    other = tie(runs, Build("built", release=RELEASE, build_id="cd34"), None, "T", [])
    assert (other.state, other.against) == ("other", ("build id: ab12 (), cd34 ()",))


def test_every_import_proven_passes_strict(modcheck: Modcheck, tmp_path: Path) -> None:
    words = ("--target", PLAIN / "tree", "--target", PLAIN / "modules/heartbeat.ko", "--strict")
    config = ("--config", PLAIN / "board/config.gz")
    copy = shutil.copy(PLAIN / "modules/heartbeat.ko", tmp_path / "driver.ko")
    assert modcheck(copy, *words, *config).status == 0
    run = modcheck(copy, *words)  # whether the board wants signatures, its own .config says
    assert (run.status, "signature: whether the kernel that runs demands" in run.stdout) == (3, True)
    run = modcheck(PLAIN / "modules/plain.ko", *words, *config)
    assert run.status == 3
    assert f"nothing proves that {PLAIN}/tree/Module.symvers.xz is of the kernel that runs" in run.stdout.split("\n")[0]
    assert "a module that the board has loaded and that uses these symbols" in run.stdout


# the commands that passed what the board refuses


def test_a_table_of_another_abi(modcheck: Modcheck, tmp_path: Path) -> None:
    """The gate as it was: the tree's table, the board's release and its .config."""
    tree = SAMPLES / "debian-6.1-amd64/tree"
    config = tmp_path / "config.gz"
    config.write_bytes(gzip.compress((tree / ".config").read_bytes()))
    module = SAMPLES / "debian-6.1-amd64/chrdevbase.ko"
    for release in ("6.1.0-50-amd64", "6.12.117+deb13-amd64"):
        for strict in ((), ("--strict",)):
            options = ("--config", config) if release.startswith("6.1.") else ()
            run = modcheck(module, "--target", tree, "--release", release, *options, *strict)
            assert run.status == 3
            assert run.stdout.startswith(f"{module}: unknown on {release}: the table is of 6.1.0-56-amd64\n")
    assert "apt install linux-headers-6.12.117+deb13-amd64" in run.stdout


def test_an_option_that_makes_symbols(modcheck: Modcheck, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(SAMPLES / "rk3588/tree", tree)
    config = tmp_path / "board.config"
    shutil.copy(tree / ".config", config)
    text = (tree / ".config").read_text()
    (tree / ".config").write_text(text + "CONFIG_KCOV=y\n")
    words = ("rk3588/chrdevbase.ko", "--symvers", tree / "Module.symvers", "--release", RELEASE, "--config", config)
    run = modcheck(*words)
    assert run.status == 3
    assert f"another build, CONFIG_KCOV: n in {config}, y in {tree}/.config" in run.stdout.split("\n")[0]
    (tree / ".config").write_text(text.replace('CONFIG_CC_VERSION_TEXT="', 'CONFIG_CC_VERSION_TEXT="another '))
    assert modcheck(*words).status == 0
    assert modcheck(*words, "--strict").status == 3
    assert modcheck(*words, "--strict", "--same-build").status == 0


def test_keys_and_salts_tell_no_builds_apart() -> None:
    """Those in which the .config of Debian's headers and of its image differ, and those that a build sets anew."""
    config = (SAMPLES / "debian-6.1-amd64/tree/.config").read_text()
    from modcheck.target.kconfig import Config

    idle = ("BUILD_SALT", "MODULE_SIG_ALL", "MODULE_SIG_KEY", "SYSTEM_TRUSTED_KEYS", "CC_VERSION_TEXT", "LOCALVERSION")
    changed = config + "".join(f'CONFIG_{name}="another"\n' for name in idle)
    assert identifying(Config(config, "a"), Config(changed, "b")) == []
    found = identifying(Config(config, "a"), Config(config.replace("CONFIG_SMP=y", "CONFIG_KASAN=y"), "b"))
    assert [(one.option, one.one, one.other) for one in found] == [("KASAN", "n", "y"), ("SMP", "y", "n")]
    assert {"KCOV", "KASAN", "STACKPROTECTOR", "FUNCTION_TRACER", "HARDENED_USERCOPY"} <= SYMBOL_OPTIONS


# two of the same standing


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--target", "rk3588/tree", "--target", "sunxi/tree"), ("rk3588/tree", "sunxi/tree", "another build")),
        (("--symvers", "rk3588-modversions/tree/Module.symvers", "--symvers", OTHER / "tree/Module.symvers.xz"),
         ("rk3588-modversions/tree", str(OTHER), "another build")),
        (("--target", "rk3588/chrdevbase.ko", "--target", "sunxi/chrdevbase.ko"), ("rk3588/", "sunxi/")),
        (("--target", PLAIN / "modules/plain.ko", "--target", OTHER / "modules/plain.ko"), (str(PLAIN), str(OTHER))),
        (("--target", "rk3588/chrdevbase.ko", "--release", "6.1.0-other"), ("rk3588/chrdevbase.ko", "--release")),
        (("--target", "rk3588/chrdevbase.ko", "--arch", "arm"), ("rk3588/chrdevbase.ko", "--arch")),
        (("--vermagic", "6.1.0 SMP ", "--release", "6.1.1"), ("--vermagic", "--release")),
        (("--target", PLAIN / "tree", "--target", OTHER / "modules/plain.ko", "--same-build"),
         ("--same-build", "CRC of")),
    ],
)  # fmt: skip
def test_two_builds_are_bad_usage(modcheck: Modcheck, words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    run = modcheck("sunxi/sample_export.ko", *words)
    assert (run.status, run.stdout) == (2, "")
    for part in parts:
        assert part in run.stderr


def test_an_option_against_an_image_or_a_capture(modcheck: Modcheck, tmp_path: Path) -> None:
    image, tar = board_image(PLAIN, tmp_path), capture(OTHER.name, tmp_path)
    module = PLAIN / "modules/plain.ko"
    config = tmp_path / "other.config"
    config.write_text((OTHER / "tree/.config").read_text().replace("CONFIG_SMP=y", "CONFIG_KASAN=y"))
    for words, parts in (
        (("--kernel", image, "--release", "6.1.1"), (str(image), "--release says 6.1.1")),
        (("--kernel", image, "--vermagic", f"{RELEASE} aarch64"), (str(image), "--vermagic")),
        (("--target", tar, "--release", "6.1.1"), (str(tar), "6.1.1")),
        (("--target", tar, "--config", config), (str(tar), str(config), "CONFIG_KASAN is n")),
        (("--target", tar, "--kernel", image), (str(tar), str(image))),
    ):
        run = modcheck(module, *words)
        assert (run.status, run.stdout) == (2, ""), words
        for part in parts:
            assert part in run.stderr, (words, run.stderr)


def test_the_module_tells_nothing_of_its_own_board(modcheck: Modcheck) -> None:
    for module in ("rk3588/chrdevbase.ko", "rk3588"):
        run = modcheck(module, "--target", "rk3588/chrdevbase.ko")
        assert (run.status, "the module itself" in run.stderr) == (2, True)


def test_a_profile_does_not_prove_its_own_table(modcheck: Modcheck, tmp_path: Path) -> None:
    """What was assumed when it was saved is assumed still; neither does strict forget it in matrix and diff."""
    table, config = loose(PLAIN / "tree", tmp_path), OTHER / "board/config.gz"
    module = PLAIN / "modules/plain.ko"
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    modcheck("target", "--symvers", table, "--release", RELEASE, "--config", config, "-o", one)
    modcheck("target", PLAIN / "tree", "--release", RELEASE, "--config", config, "-o", two)
    for profile in (one, two):
        assert json.loads(profile.read_text())["data"]["build"]["banner"] is None
        for beside in ((), ("--target", PLAIN / "tree"), ("--symvers", table)):
            assert modcheck(module, "--target", profile, *beside, "--strict").status == 3, (profile, beside)
        assert modcheck("matrix", module, "--target", profile, "--strict").status == 3
        assert modcheck("matrix", module, "--target", profile).status == 0
        assert modcheck("diff", profile, profile, module, "--strict").status == 3
        assert modcheck(module, "--target", profile, "--strict", "--same-build").status == 0


def test_a_table_that_make_image_left_behind(tmp_path: Path) -> None:
    """compile.h is of the kernel that was linked last; Module.symvers may be of one before."""
    tree = tmp_path / "tree"
    shutil.copytree(OTHER / "tree", tree)
    (tree / "Module.symvers.xz").write_bytes((PLAIN / "tree/Module.symvers.xz").read_bytes())
    tar = capture(OTHER.name, tmp_path)
    time = os.stat(tree / "include/generated/compile.h").st_mtime - 3600
    os.utime(tree / "Module.symvers.xz", (time, time))
    target = read_target(tree, release=RELEASE, config=OTHER / "board/config.gz")
    assert target.tied
    assert (target.tied.state, target.tied.whole) == ("assumed", False)
    assert "banner" not in (read_target(tree, tar).tied or target.tied).by


def test_a_crc_proves_neither_licence_nor_namespace(tmp_path: Path) -> None:
    """A table in which one symbol is for everybody that is for GPL-compatible modules alone in the image."""
    text = read_plain(PLAIN / "tree/Module.symvers.xz").decode()
    path = tmp_path / "Module.symvers"
    row = next(line for line in text.splitlines() if "\tvmlinux\tEXPORT_SYMBOL_GPL\t" in line)
    path.write_text(text.replace(row, row.replace("EXPORT_SYMBOL_GPL", "EXPORT_SYMBOL")))
    tied = read_target(symvers=[path], kernel=board_image(PLAIN, tmp_path)).tied
    assert tied
    name = row.split("\t")[1]
    assert tied.state == "other"
    assert tied.against[0].startswith(f"{name}: EXPORT_SYMBOL_GPL in ")
    rows = read_symvers(path).only({name})
    assert (rows.get(name).gpl, rows.has_kernel, rows.whole) == (None, False, False)  # type: ignore[union-attr]


def test_three_trees_in_any_order(modcheck: Modcheck, tmp_path: Path) -> None:
    """One of them has no table and no banner, and says nothing against either."""
    for name, source in (("bare", PLAIN), ("one", PLAIN), ("other", OTHER)):
        shutil.copytree(source / "tree", tmp_path / name)
        for file in ("compile.h", "utsversion.h"):
            (tmp_path / name / "include/generated" / file).unlink()
    (tmp_path / "bare/Module.symvers.xz").unlink()
    for order in permutations(("bare", "one", "other")):
        words = TARGETS(tuple(tmp_path / name for name in order))
        assert modcheck(PLAIN / "modules/plain.ko", *words).status == 2, order


def test_a_tree_and_a_copy_of_its_table(modcheck: Modcheck, tmp_path: Path) -> None:
    table = loose(PLAIN / "tree", tmp_path)
    run = modcheck(PLAIN / "modules/plain.ko", "--target", PLAIN / "tree", "--symvers", table, "--strict")
    assert run.status == 0


def test_an_image_beside_a_tree_without_a_table(modcheck: Modcheck, tmp_path: Path) -> None:
    """What the image exports is the board's own: the tree has nothing to be tied."""
    shutil.copytree(PLAIN / "tree", tmp_path / "tree")
    (tmp_path / "tree/Module.symvers.xz").unlink()
    words = ("--target", tmp_path / "tree", "--kernel", board_image(PLAIN, tmp_path), "--loader", "insmod")
    run = modcheck(PLAIN / "modules/plain.ko", *words, "--config", PLAIN / "board/config.gz", "--strict")
    assert run.status == 0, run.stdout


def test_modules_of_the_board_against_each_other(modcheck: Modcheck, tmp_path: Path) -> None:
    folder = tmp_path / "lib/modules" / RELEASE
    (folder / "kernel").mkdir(parents=True)
    shutil.copy(PLAIN / "modules/uses_struct.ko", folder / "kernel")
    (folder / "modules.order").write_text("kernel/uses_struct.ko\n")
    module = ("--target", OTHER / "modules/uses_struct.ko")
    for words in (("--modules-dir", folder), ("--kernel", board_image(PLAIN, tmp_path))):
        run = modcheck(PLAIN / "modules/plain.ko", *words, *module)
        assert (run.status, str(OTHER) in run.stderr, "CRC of" in run.stderr) == (2, True, True), words


def test_a_config_of_another_series(modcheck: Modcheck, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text((PLAIN / "tree/.config").read_text().replace(" 6.1.176 ", " 6.12.1 "))
    run = modcheck(PLAIN / "modules/plain.ko", "--kernel", board_image(PLAIN, tmp_path), "--config", config)
    assert (run.status, str(config) in run.stderr, "6.12.1" in run.stderr) == (2, True, True)


def test_two_trees_of_one_build(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(PLAIN / "tree", copy)
    assert read_target(PLAIN / "tree", copy).tied is None
    link = tmp_path / "link"
    link.symlink_to(PLAIN / "tree")
    assert read_target(PLAIN / "tree", link).tied is None


# what is written down


def test_the_first_line_says_whose_kernel_it_is(modcheck: Modcheck, tmp_path: Path) -> None:
    module = "rk3588/chrdevbase.ko"
    first = modcheck(module, "--target", "rk3588/tree").stdout.split("\n")[0]
    assert first == f"{module}: loads on {RELEASE}, as rk3588/tree builds it"
    path = loose(SAMPLES / "rk3588/tree", tmp_path)
    config = ("--release", RELEASE, "--config", "rk3588/tree/.config")
    run = modcheck(module, "--symvers", path, *config)
    assert run.stdout.split("\n")[0] == f"{module}: loads on {RELEASE}, if {path} is of the kernel that runs"
    assert f"assumed: {path} is of the kernel that runs; " in run.stdout
    run = modcheck(module, "--symvers", path, *config, "--same-build", "--strict")
    assert run.stdout.split("\n")[0] == f"{module}: loads on {RELEASE}"
    assert f"assumed: {path} is of the kernel that runs (--same-build); " in run.stdout
    run = modcheck(module, "--symvers", path, *config, "--strict")
    assert run.status == 3
    assert run.stdout.split("\n")[0].endswith(f"nothing proves that {path} is of the kernel that runs")


@pytest.mark.parametrize(("board", "state", "proves"), [(PLAIN, "tied", "all"), (OTHER, "other", None)])
def test_json_and_profiles_keep_the_evidence(
    modcheck: Modcheck, tmp_path: Path, board: Path, state: str, proves: str | None
) -> None:
    words = (PLAIN / "tree", capture(board.name, tmp_path))
    document = modcheck("target", *words, "--format", "json").document
    schema = json.loads((ROOT / "modcheck/schema/target.json").read_text())
    jsonschema.validate(document, schema)
    told = document["target"]
    assert (told["build"]["standing"], told["built_against"]["standing"]) == ("runs", "built")
    assert told["tied"]["state"] == state
    assert proves in (None, told["tied"]["proves"])
    profile = tmp_path / "board.json"
    modcheck("target", *words, "-o", profile)
    again = modcheck("target", profile, "--format", "json").document["target"]
    assert again["tied"] == told["tied"]
    keys = ("standing", "release", "banner", "build_id", "vermagic", "module_layout")
    assert [again["build"][key] for key in keys] == [told["build"][key] for key in keys]
    for module in sorted(PLAIN.glob("modules/*.ko")):
        statuses = [modcheck(module, *(("--target", one) if one == profile else TARGETS(words)), "--strict").status
                    for one in (profile, words)]  # fmt: skip
        assert statuses[0] == statuses[1], module


def TARGETS(words: tuple[Path, ...]) -> tuple[str | Path, ...]:
    return tuple(part for word in words for part in ("--target", word))


def test_a_profile_beside_a_tree(modcheck: Modcheck, tmp_path: Path) -> None:
    """The tree that modules are built in, and the board as it was saved."""
    profile = tmp_path / "board.json"
    modcheck("target", "--kernel", board_image(OTHER, tmp_path), "--config", OTHER / "board/config.gz", "-o", profile)
    target = read_target(profile, PLAIN / "tree")
    assert target.tied
    assert target.tied.state == "other"
    assert target.built_against
    assert target.built_against.tree == str(PLAIN / "tree")
    run = modcheck(PLAIN / "modules/plain.ko", "--target", profile, "--target", PLAIN / "tree", "--loader", "insmod")
    assert (run.status, "disagrees about version of symbol cdev_del" in run.stdout) == (1, True)
    own = read_target(profile, OTHER / "tree").tied
    assert own
    assert own.by == ("banner",)


def test_every_format_says_whose_table_it_is(modcheck: Modcheck, tmp_path: Path) -> None:
    """Of another build in what CI shows; taken for the kernel's, beside the column that it is about."""
    words = ("--target", PLAIN / "tree", "--target", capture(OTHER.name, tmp_path))
    number = (PLAIN / "board/version").read_text().strip().rpartition(") ")[2]
    for name in ("text", "json", "markdown", "junit", "sarif", "github"):
        run = modcheck(PLAIN / "modules/uses_gone.ko", *words, "--format", name)
        assert run.status == 3
        told = run.stdout.replace("&#8203;", "").replace("\\#", "#").replace("%3A", ":").replace("%2C", ",")
        assert (f"another build, {number}" in told) or (name == "json" and '"state": "other"' in told), name
    profile = tmp_path / "assumed.json"
    modcheck("target", PLAIN / "tree", "--release", RELEASE, "-o", profile)
    for name in ("text", "html"):
        shown = modcheck("matrix", PLAIN / "modules/plain.ko", "--target", profile, "--format", name).stdout
        assert f"{PLAIN}/tree/Module.symvers.xz is taken to be of the kernel that runs" in shown


def test_a_table_is_not_rebuilt_of_two_builds(modcheck: Modcheck, tmp_path: Path) -> None:
    run = modcheck("symvers", PLAIN / "tree", board_image(OTHER, tmp_path), "-o", tmp_path / "Module.symvers")
    assert run.status == 2
    assert "another build" in run.stderr
    assert not (tmp_path / "Module.symvers").exists()


def test_modules_of_the_board_in_their_directory(tmp_path: Path) -> None:
    """A modules directory proves and contradicts as single modules do; under strict all of its modules are asked."""
    folder = tmp_path / "lib/modules" / RELEASE
    (folder / "kernel").mkdir(parents=True)
    for name in ("heartbeat", "plain"):
        shutil.copy(OTHER / f"modules/{name}.ko", folder / "kernel")
    (folder / "modules.order").write_text("kernel/heartbeat.ko\nkernel/plain.ko\n")
    assert read_target(PLAIN / "tree", modules_dir=folder).tied.state == "other"  # type: ignore[union-attr]
    tied = read_target(OTHER / "tree", modules_dir=folder).tied
    assert tied
    assert not tied.unproven(read_module(OTHER / "modules/plain.ko").imports)
    assert tied.unproven(["__kfifo_alloc"]) == ["__kfifo_alloc"]


def test_an_older_release_beside_its_modules(tmp_path: Path) -> None:
    """The modules of a directory are of the board; the tree is of another release."""
    folder = tmp_path / "lib/modules/6.1.99-old/kernel"
    folder.mkdir(parents=True)
    data = (PLAIN / "modules/plain.ko").read_bytes().replace(RELEASE.encode(), b"6.1.99-older-board-here")
    data = data.replace(b"author=", b"intree=")
    (folder / "plain.ko").write_bytes(data)
    target = read_target(PLAIN / "tree", modules_dir=folder.parent)
    assert target.tied
    assert target.tied.state == "other"
    assert target.release != RELEASE


def test_a_module_of_the_board_is_wanted_for_proof_alone(modcheck: Modcheck, tmp_path: Path) -> None:
    """And not for other facts that are not known, though these are told in words that begin alike."""
    tree = SAMPLES / "debian-6.1-amd64/tree"
    words = ("--symvers", loose(tree, tmp_path), "--release", "6.1.0-55-amd64", "--config", tree / ".config")
    signed = next((ROOT / "tests/data/modules/amd64-6.1.0-56-amd64").glob("*.ko.xz"))
    run = modcheck(signed, *words, "--cmdline", "module.sig_enforce=1", "--format", "json")
    (told,) = run.document["modules"]
    assert [one["needs"].split(" (")[0] for one in told["unchecked"]] == [
        "whether the kernel trusts the key that signed it"
    ]
    assert "--target" not in [one["option"] for one in told["fetch"]]
    run = modcheck(signed, *words, "--cmdline", "module.sig_enforce=1")
    assert "nothing proves" not in run.stdout.split("\n")[0]
    (told,) = modcheck("debian-6.1-amd64/chrdevbase.ko", *words, "--strict", "--format", "json").document["modules"]
    assert "--target" in [one["option"] for one in told["fetch"]]


def test_what_a_witness_proves() -> None:
    table = Symvers(b"0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\tb\tvmlinux\tEXPORT_SYMBOL\t\n", "T")
    runs, built = Build("runs"), Build("built")

    def said(crcs: dict[str, int | None], **flags: bool) -> tuple[str, frozenset[str]]:
        found = tie(runs, built, table, "T", [Witness("W", crcs, **flags)])
        return found.state, found.names

    assert said({"a": 1}) == ("assumed", frozenset("a"))
    assert said({"a": 9, "b": 2}) == ("other", frozenset("b"))
    assert said({"a": 1, "c": 3}) == ("assumed", frozenset("a"))
    assert said({"a": 1, "c": 3}, listed=True) == ("other", frozenset("a"))
    assert said({"a": 1}, listed=True, all_of_kernel=True) == ("other", frozenset("a"))
    assert said({"a": 1, "b": 2}, listed=True, all_of_kernel=True) == ("assumed", frozenset("ab"))
    assert said({"a": None, "b": None}, listed=True, all_of_kernel=True) == ("assumed", frozenset())


def test_the_counts_are_of_real_boards(said: list[Said]) -> None:
    boards = Counter(one.row.board for one in said)
    assert len(boards) >= 3
