"""The command line on bad input, its formats and options: one clear line, the right exit status, never a traceback."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, SAMPLES, Run

import modcheck as package

Modcheck = Callable[..., Run]
MODULE = "rk3588/chrdevbase.ko"
TREE = ("--target", "rk3588/tree")


def schema(name: str) -> Any:
    return json.loads((Path(package.__file__).parent / "schema" / f"{name}.json").read_text())


def one_line(run: Run, *words: str) -> None:
    """Exit 2, and one line on stderr with all of `words`."""
    assert run.status == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("modcheck: ")
    for word in words:
        assert word in line


def test_a_missing_file_does_not_stop_the_others(modcheck: Modcheck) -> None:
    run = modcheck("missing.ko", MODULE, *TREE)
    one_line(run, "missing.ko", "no such file or directory")
    assert f"{MODULE}: loads" in run.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_an_unreadable_file(modcheck: Modcheck, tmp_path: Path) -> None:
    path = tmp_path / "secret.ko"
    path.touch(mode=0)
    one_line(modcheck(path, *TREE), "secret.ko", "permission denied")


@pytest.mark.parametrize(
    ("name", "content", "reason", "errno", "log"),
    [
        ("empty.ko", b"", "empty file", "EINVAL", []),
        ("text.ko", b"#!/bin/sh\necho this is not a module, but it is long enough\n" * 3, "not an ELF file",
         "ENOEXEC", ["Invalid ELF header magic: != \\x7fELF"]),
        ("tiny.ko", b"\x7fEL", "not an ELF file", "ENOEXEC", ["Invalid ELF header len 3"]),
        ("broken.ko.xz", lzma.compress(b"module" * 99)[:40], "broken .xz file", "EINVAL", []),
        ("broken.ko.gz", gzip.compress(b"module" * 99)[:20], "broken .gz file", "EINVAL", []),
        ("broken.ko.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 30, "broken .zst file", "EINVAL", []),
    ],
)  # fmt: skip
def test_what_is_no_module_gets_the_kernels_answer_and_exit_2(
    modcheck: Modcheck, tmp_path: Path, name: str, content: bytes, reason: str, errno: str, log: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    one_line(modcheck(path, MODULE, *TREE), name, reason)
    run = modcheck("--format", "json", path, MODULE, *TREE)
    assert run.status == 2
    broken, good = run.document["modules"]
    assert reason in broken["error"]
    assert (broken["verdict"], broken["errno"], broken["log"]) == ("refused", errno, log)
    assert good["verdict"] == "loads"
    assert run.document["summary"]["errors"] == 1
    jsonschema.validate(run.document, schema("check"))


def test_a_shared_library_is_no_module(modcheck: Modcheck) -> None:
    import _ctypes

    run = modcheck("--format", "json", _ctypes.__file__, "--target", "debian-6.1-amd64/tree")
    (entry,) = run.document["modules"]
    assert run.status == 2
    assert "a shared library" in entry["error"]
    assert entry["errno"] == "ENOEXEC"


def test_an_object_file_is_no_module(modcheck: Modcheck, tmp_path: Path) -> None:
    """The sample without its two sections, by name: what `gcc -c` makes."""
    data = (SAMPLES / MODULE).read_bytes().replace(b".modinfo\0", b".modinfX\0")
    path = tmp_path / "chrdevbase.o"
    path.write_bytes(data.replace(b".gnu.linkonce.this_module\0", b".gnu.linkonce.this_modulX\0"))
    run = modcheck("--format", "json", path, *TREE)
    (entry,) = run.document["modules"]
    assert run.status == 2
    assert "an object file" in entry["error"]
    assert entry["log"] == ["(missing .modinfo section or name field): No module found in object"]


def test_a_cut_module_is_the_kernels_to_refuse(modcheck: Modcheck, tmp_path: Path) -> None:
    path = tmp_path / "cut.ko"
    path.write_bytes((SAMPLES / MODULE).read_bytes()[:3000])
    run = modcheck("--format", "json", path, *TREE)
    (entry,) = run.document["modules"]
    assert (run.status, entry["verdict"], entry["errno"]) == (1, "refused", "ENOEXEC")
    assert entry["log"] == ["Invalid ELF section header overflow"]
    assert "error" not in entry


def test_a_directory_without_modules(modcheck: Modcheck, tmp_path: Path) -> None:
    one_line(modcheck(tmp_path, *TREE), str(tmp_path), "no modules below this directory")


def test_a_directory_is_every_module_below_it_by_path(modcheck: Modcheck, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/one.ko", "a.ko.xz", "c.ko.gz"):
        content = (SAMPLES / MODULE).read_bytes()
        packed = lzma.compress(content) if name.endswith("xz") else gzip.compress(content)
        (tmp_path / name).write_bytes(content if name.endswith(".ko") else packed)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    run = modcheck("--format", "json", tmp_path, *TREE)
    names = [os.path.relpath(entry["path"], tmp_path) for entry in run.document["modules"]]
    assert names == ["a.ko.xz", "b/one.ko", "c.ko.gz"]
    assert "the same name" in run.stderr


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"0xac8e5c3a\tcdev_add\tvmlinux\tEXPORT_SYMBOL\t\n<<<<<<< HEAD\n", 2),
        (b"0xac8e5c3a cdev_add vmlinux EXPORT_SYMBOL\n", 1),
        (b"0xac8e5c3a\tcdev_add\tvmlinux\tEXPORT_SYMBOL\t\n" * 3 + b"0xac8e5 cdev", 4),
        (b"0xac8e5c3a\tcdev_add\tvmlinux\n0xzz8e5c3a\tcdev_del\tvmlinux\n", 2),
        (b"0xac8e5c3a\tcdev_add\tvmlinux\tEXPORT_SYMBOL\tA\tB\tC\n", 1),
    ],
)
def test_a_broken_symvers_names_file_and_line(modcheck: Modcheck, tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "Module.symvers"
    path.write_bytes(content)
    one_line(modcheck(MODULE, "--symvers", path), f"{path}:{line}", "not a line of a Module.symvers")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("CONFIG_MODULES=y\nCONFIG_SMP=y\n", "a defconfig?"),
        ("hello\n", "no kernel .config"),
        ("", "no kernel .config"),
    ],
)
def test_a_config_that_is_none(modcheck: Modcheck, tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    one_line(modcheck(MODULE, "--config", path, "--release", "6.1.0"), str(path), reason)


def test_no_target_names_three_ways(modcheck: Modcheck) -> None:
    one_line(modcheck(MODULE), "--target", "--symvers", "--release")
    document = modcheck("--format", "json", MODULE).document
    assert "nothing describes the kernel" in document["error"]
    jsonschema.validate(document, schema("check"))


def test_an_empty_symvers_and_nothing_else(modcheck: Modcheck, tmp_path: Path) -> None:
    path = tmp_path / "Module.symvers"
    path.touch()
    one_line(modcheck(MODULE, "--symvers", path), str(path), "no symbols of vmlinux", "headers directory")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--target", "no/such/dir"), "no such file or directory"),
        (("--target", "src"), "no kernel build or headers directory"),
        (("--target", MODULE), "the module itself"),
        (("--symvers", "rk3588/tree/.config"), "but a .config"),
        (("--release", "Linux board 6.1.99 #1 SMP"), "uname -r"),
        (("--symvers", "no.symvers"), "no such file"),
        (("--arch", "pdp11", *TREE), "pdp11"),
        (("--kernel-version", "new", *TREE), "no kernel version"),
        (("--vendor", "acme", *TREE), "acme"),
    ],
)
def test_a_bad_target(modcheck: Modcheck, words: tuple[str, ...], part: str) -> None:
    one_line(modcheck(MODULE, *words), part)


def test_several_kernels_in_one_place(modcheck: Modcheck, tmp_path: Path) -> None:
    for name in ("rk3588", "sunxi"):
        shutil.copytree(SAMPLES / name / "tree", tmp_path / name)
    run = modcheck(MODULE, "--target", tmp_path)
    one_line(run, "6.1.176-rockchip-rk3588", "6.1.176-sunxi", "--release")
    assert modcheck(MODULE, "--target", tmp_path, "--release", "6.1.176-rockchip-rk3588").status == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "text", "--format", "json", MODULE, *TREE),
        ("--format", "yaml", MODULE, *TREE),
        ("--no-such-option", MODULE),
        TREE,
        (),
    ],
)
def test_bad_usage(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    run = modcheck(*words)
    assert run.status == 2
    assert "Error: " in run.stderr
    assert not run.stdout


def test_formats_may_go_to_files(modcheck: Modcheck, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = modcheck("--format", "text", "--format", f"json:{report}", MODULE, *TREE)
    assert run.status == 0
    assert f"{MODULE}: loads" in run.stdout
    assert json.loads(report.read_text())["summary"]["loads"] == 1
    one_line(modcheck("--format", f"json:{tmp_path}/no/dir.json", MODULE, *TREE), "dir.json", "cannot be written")


def test_options_stand_anywhere(modcheck: Modcheck) -> None:
    words = modcheck("--format", "json", MODULE, *TREE).document
    assert modcheck(MODULE, *TREE, "--format=json").document == words
    assert modcheck("check", *TREE, MODULE, "--format", "json").document == words


def test_ignore_takes_the_next_stage(modcheck: Modcheck) -> None:
    words = ("--format", "json", "rk3588-modversions/chrdevbase.ko", "--target", "debian-6.1-arm64/tree")
    first = modcheck(*words).document["modules"][0]
    assert first["findings"][0]["rule"] == "module-layout"
    run = modcheck(*words, "--ignore", "module-layout")
    (entry,) = run.document["modules"]
    assert (entry["verdict"], run.status) == ("refused", 1)
    assert entry["findings"][0]["ignored"] is True
    assert "module_layout" not in entry["log"][0]
    assert run.document["summary"]["ignored"] == 1
    assert "matched nothing" not in run.stderr
    unused = modcheck(MODULE, *TREE, "--ignore", "btf")
    assert unused.status == 0
    assert "--ignore btf: matched nothing" in unused.stderr


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("show", "--help"), ("target", "--help"), ("--version",)])
def test_help(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    run = modcheck(*words)
    assert run.status == 0
    assert "modcheck" in run.stdout


def test_help_names_the_commands_and_every_option_of_check(modcheck: Modcheck) -> None:
    text = modcheck("--help").stdout
    for word in ("modcheck show", "modcheck target", "--symvers", "--strict", "--ignore", "--loader", "Exit status"):
        assert word in text


def test_show(modcheck: Modcheck) -> None:
    run = modcheck("show", "--format", "json", "debian-6.1-amd64", MODULE)
    assert run.status == 0
    jsonschema.validate(run.document, schema("show"))
    text = modcheck("show", MODULE).stdout
    assert "6.1.176-rockchip-rk3588 SMP mod_unload aarch64" in text
    assert "alloc_chrdev_region" in text
    assert modcheck("show", "missing.ko").status == 2


def test_target(modcheck: Modcheck) -> None:
    run = modcheck("target", "rk3588/tree", "--format", "json")
    assert run.status == 0
    jsonschema.validate(run.document, schema("target"))
    assert run.document["target"]["sources"]["release"] == "rk3588/tree/include/generated/utsrelease.h"
    text = modcheck("target", "--target", "rk3588/tree").stdout
    assert "from rk3588/tree/include/generated/utsrelease.h" in text
    bad = modcheck("target", "--format", "json")
    assert bad.status == 2
    jsonschema.validate(bad.document, schema("target"))


def test_documents_follow_the_schema(modcheck: Modcheck) -> None:
    for words in (("debian-6.1-amd64",), ("sunxi", "--loader", "insmod"), ("rk3588-modversions/chrdevbase.ko",)):
        run = modcheck("--format", "json", *words, "--target", "debian-6.1-amd64/tree")
        jsonschema.validate(run.document, schema("check"))


def test_contradictions_are_told(modcheck: Modcheck) -> None:
    """An option against another names both; one against a tree, that the tree is of another build."""
    run = modcheck(MODULE, *TREE, "--release", "6.1.176-other", "--vermagic", "6.1.176-more SMP aarch64")
    one_line(run, "--release says 6.1.176-other", "--vermagic", "6.1.176-more")
    module = "rk3588-modversions/chrdevbase.ko"
    run = modcheck(module, "--target", "rk3588-modversions/tree", "--release", "6.1.176-other")
    assert run.status == 3
    assert run.stdout.startswith(f"{module}: unknown on 6.1.176-other: the table is of 6.1.176-rockchip-rk3588")


def run_process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modcheck", *words],
        cwd=SAMPLES, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_as_a_process_without_colour() -> None:
    done = run_process(MODULE, *TREE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colour_is_for_terminals_that_want_it(
    modcheck: Modcheck, monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert ("\x1b[" in modcheck(MODULE, *TREE).stdout) == coloured


def test_a_command_with_a_slip_is_asked_about(modcheck: Modcheck) -> None:
    run = modcheck("explian", "vermagic")
    assert run.status == 2
    assert "`explain`" in run.stderr


def test_a_release_may_end_in_a_line_end(modcheck: Modcheck) -> None:
    run = modcheck("--format", "json", MODULE, *TREE, "--release", "6.1.176-rockchip-rk3588\r\n")
    assert run.document["target"]["release"] == "6.1.176-rockchip-rk3588"
