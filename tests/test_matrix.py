"""`modcheck matrix`: every pair as `check` has it, in every format, from any number of processes."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import SAMPLES, Run

import modcheck as package
from modcheck import Prediction, predict_all, read_module, read_target
from modcheck.cli.matrix import cell_of
from modcheck.files import find_modules, read_plain
from modcheck.module import parse_module

Modcheck = Callable[..., Run]
DATA = Path(__file__).parent / "data"
TREES = ("debian-6.1-amd64/tree", "debian-6.1-arm64/tree", "rk3588/tree", "rk3588-modversions/tree", "sunxi/tree")
SCHEMA = json.loads((Path(package.__file__).parent / "schema/matrix.json").read_text())


def targets(*names: str) -> list[str]:
    return [word for name in names for word in ("--target", name)]


def pairs(document: Any) -> dict[tuple[str, str], Any]:
    return {(one["module"], one["target"]): one for one in document["results"]}


@pytest.mark.parametrize("loader", ["modprobe", "insmod", "busybox"])
def test_each_column_is_what_check_says_of_that_kernel(modcheck: Modcheck, loader: str) -> None:
    options = ("--loader", loader, "--cmdline", "module_blacklist=sample_export", "--format", "json")
    run = modcheck("matrix", ".", *targets(*TREES), *options)
    jsonschema.validate(run.document, SCHEMA)
    found = pairs(run.document)
    compared = 0
    for tree in TREES:
        for one in modcheck(".", "--target", tree, *options).document["modules"]:
            pair = found[one["path"], tree]
            for name in ("verdict", "errno", "message", "insmod_message", "log", "first"):
                assert pair[name] == one[name], (one["path"], tree, name)
            assert pair.get("failed_in") == one.get("failed_in")
            assert pair.get("earlier_unknown") == one.get("earlier_unknown")
            errors = [finding["rule"] for finding in one["findings"] if finding["level"] == "error"]
            assert pair["rule"] == (errors[0] if errors else None)
            compared += 1
    assert compared == len(found) == 5 * len(find_modules(SAMPLES))
    summary = run.document["summary"]
    assert summary["loads"] + summary["refused"] + summary["unknown"] == compared
    assert run.status == 1


def test_a_thousand_random_pairs_are_what_check_says(record_property: Callable[[str, object], None]) -> None:
    """Real modules of ten kernels and architectures on five kernels, each judged alone and to the end."""
    modules = [read_module(path) for path in (*find_modules(SAMPLES), *find_modules(DATA / "modules"))]
    kernels = [read_target(SAMPLES / tree) for tree in TREES]
    generator = random.Random(7)
    verdicts = set()
    for _ in range(1000):
        module, kernel = generator.choice(modules), generator.choice(kernels)
        (whole,) = predict_all([module], kernel)
        (brief,) = predict_all([module], kernel, until_refused=True)
        assert cell_of(brief)[:7] == cell_of(whole)[:7]
        assert brief.first == whole.first
        assert brief.earlier_unknown == whole.earlier_unknown
        verdicts.add(whole.verdict)
    assert verdicts == {"loads", "refused", "unknown"}


def test_modules_of_one_build_do_not_stand_for_others() -> None:
    """Each byte of header and signature trailer changed, in modules judged one after the other by the same judge."""
    generator, variants = random.Random(5), []
    for folder in sorted((DATA / "modules").glob("*-*"))[::2]:
        (path, *_) = find_modules(folder)
        data = read_plain(path)
        places = [*range(4, 64), *range(len(data) - 40, len(data) - 28)]
        variants += [parse_module(data, f"{path}/{copy}") for copy in ("one", "other")]
        for place in places:
            changed = data[:place] + bytes((data[place] ^ generator.randrange(1, 256),)) + data[place + 1 :]
            variants.append(parse_module(changed, f"{path}/{place}"))
    generator.shuffle(variants)
    rules = set()
    for tree in TREES:
        kernel = read_target(SAMPLES / tree, cmdline="module.sig_enforce" if "debian" in tree else None)
        for one, brief in zip(variants, predict_all(variants, kernel, until_refused=True)):
            (alone,) = predict_all([one], kernel, until_refused=True)
            assert cell_of(brief) == cell_of(alone), (one.path, tree)
            assert (brief.module, brief.assumed, brief.needs) == (one, alone.assumed, alone.needs)
            assert (brief.compared, brief.proprietary) == (alone.compared, alone.proprietary)
            rules.add(cell_of(brief).rule)
    assert {"arch", "elf-format", "signature"} <= rules


def test_the_same_from_any_number_of_processes(modcheck: Modcheck, tmp_path: Path) -> None:
    words = ("matrix", ".", *targets(*TREES))
    runs = [modcheck(*words, "-j", jobs) for jobs in ("1", "2", "7")]
    assert runs[0] == runs[1] == runs[2]
    pages = []
    for jobs in ("1", "3"):
        modcheck(*words, "-j", jobs, "--format", f"html:{tmp_path / jobs}")
        pages.append((tmp_path / jobs).read_bytes())
    assert pages[0] == pages[1]
    assert b"<title>" in pages[0]


def test_words_for_a_few_kernels_and_marks_for_many(modcheck: Modcheck) -> None:
    few = modcheck("matrix", "debian-6.1-amd64", *targets(*TREES[:2]))
    assert re.search(r"debian-6.1-amd64/chrdevbase.ko +loads +refused \(arch\)", few.stdout)
    assert "refused, arch (ENOEXEC): 4 pairs" in few.stdout
    many = modcheck("matrix", "debian-6.1-amd64", "rk3588/chrdevbase.ko", *targets(*TREES))
    assert "12345\n" in many.stdout
    assert "+----  debian-6.1-amd64/chrdevbase.ko\n" in many.stdout
    assert re.search(r"^ *1 +6\.1\.0-56-amd64 +4 loads, 4 refused", many.stdout, re.MULTILINE)
    assert "8 modules on 5 kernels" in many.stdout


def test_a_kernel_and_a_module_that_cannot_be_read_stop_nobody(modcheck: Modcheck, tmp_path: Path) -> None:
    (tmp_path / "note.ko").write_text("no module")
    words = ("rk3588/chrdevbase.ko", "gone.ko", tmp_path / "note.ko", *targets("rk3588/tree", "no/such/tree"))
    run = modcheck("matrix", *words, "--format", "json")
    assert run.status == 2
    jsonschema.validate(run.document, SCHEMA)
    assert pairs(run.document)["rk3588/chrdevbase.ko", "rk3588/tree"]["verdict"] == "loads"
    assert pairs(run.document)[str(tmp_path / "note.ko"), "rk3588/tree"]["errno"] == "ENOEXEC"
    assert [one["target"] for one in run.document["targets"] if "error" in one] == ["no/such/tree"]
    assert [one["path"] for one in run.document["modules"] if "error" in one] == ["gone.ko", str(tmp_path / "note.ko")]
    assert run.document["summary"]["errors"] == 3
    for name in ("gone.ko", "no/such/tree", "note.ko"):
        assert name in run.stderr
    text = modcheck("matrix", *words)
    assert "not judged" in text.stdout
    assert text.status == 2


def test_two_kernels_of_one_release_are_told_apart(modcheck: Modcheck, tmp_path: Path) -> None:
    saved = tmp_path / "board.json"
    modcheck("target", "rk3588/tree", "-o", saved)
    run = modcheck(
        "matrix", "rk3588/chrdevbase.ko", *targets("rk3588/tree", str(saved), "rk3588/tree"), "--format", "json"
    )
    assert [one["label"] for one in run.document["targets"]] == ["rk3588/tree", str(saved)]
    assert {one["verdict"] for one in run.document["results"]} == {"loads"}
    assert run.status == 0


def test_strict_and_unknown(modcheck: Modcheck, tmp_path: Path) -> None:
    saved = tmp_path / "board.json"
    modcheck("target", "--release", "6.1.0-56-amd64", "--arch", "amd64", "-o", saved)
    words = ("matrix", "debian-6.1-amd64/chrdevbase.ko", *targets("debian-6.1-amd64/tree", str(saved)))
    assert modcheck(*words, "--strict").status == 3
    assert "unknown (" in modcheck(*words).stdout


def test_options_of_loading_reach_every_kernel(modcheck: Modcheck) -> None:
    words = ("debian-6.1-amd64/sample_import.ko", *targets("debian-6.1-amd64/tree"), "--loader", "insmod")
    assert modcheck("matrix", *words).status == 1
    run = modcheck("matrix", *words, "--loaded", "debian-6.1-amd64/sample_export.ko", "--format", "json")
    assert run.status == 0
    assert run.document["options"] == ["--loader", "insmod", "--loaded", "debian-6.1-amd64/sample_export.ko"]


def test_no_more_than_a_cell_shows_is_kept() -> None:
    """A cell has no module facts: a hundred thousand of them fit into memory."""
    (prediction,) = predict_all([read_module(SAMPLES / "rk3588/chrdevbase.ko")], read_target(SAMPLES / TREES[0]))
    assert isinstance(prediction, Prediction)
    assert all(isinstance(value, (str, bool, tuple, type(None))) for value in cell_of(prediction))
