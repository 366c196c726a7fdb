"""The formats for CI: each document held against the JSON of the same call, and read as its consumers read it.

* junit: `junitparser` (reads what Jenkins, GitLab and pytest write), and the elements and attributes that Jenkins'
  junit-10.xsd (jenkinsci/xunit-plugin) allows. Real reports were validated with that schema itself, and rendered by
  junit2html.
* sarif: a JSON schema of what modcheck writes, closed where OASIS' own is open. Real reports, a failed run among them,
  were validated with OASIS' sarif-schema-2.1.0.json, and with `sarif-multitool validate` by its rules for SARIF and for
  GitHub's code scanning, which wants nothing but an informationUri.
* github: a parser of workflow commands that does what actions/runner does (ActionCommand.cs). What is escaped was
  compared with the output of npm's @actions/core.
* markdown: `markdown-it-py`. Real reports were looked at as cmark-gfm (GitHub's own) renders them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit
from xml.etree import ElementTree

import jsonschema
import pytest
from conftest import SAMPLES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from modcheck import Prediction, predict, read_module, read_target
from modcheck.advice import advise
from modcheck.advice.rules import RULES
from modcheck.loader.causes import Cause
from modcheck.loader.facts import LogLine, Unknown
from modcheck.report import FORMATS, Context, Result, Totals, format_named
from modcheck.report.markdown import _escaped as in_a_sentence
from modcheck.report.words import printable

Modcheck = Callable[..., Run]
NEW = ("markdown", "junit", "sarif", "github")
TREE = ("--target", "rk3588/tree")

#: calls whose results have everything: refusals, unknowns, modules that load, warnings, ignored findings
CALLS = {
    "one that loads": ("rk3588/chrdevbase.ko", *TREE),
    "a folder": ("rk3588", *TREE),
    "another kernel's": ("rk3588-modversions", "--target", "debian-6.1-arm64/tree"),
    "little known": ("debian-6.1-amd64", "--release", "6.1.0-56-amd64", "--arch", "x86_64"),
    "nothing but a release": ("sunxi/sample_export.ko", "--release", "6.1.1"),
    "ignored": ("rk3588-modversions", *TREE, "--ignore", "vermagic", "--ignore", "signature"),
    "an open check ignored": ("debian-6.1-amd64/chrdevbase.ko", "--release", "6.1.0-56-amd64", "--ignore", "signature"),
    "all lists whole": ("debian-6.1-arm64", "--target", "rk3588-modversions/tree", "-v"),
    "no file": ("missing.ko", "rk3588/chrdevbase.ko", *TREE),
}
calls = pytest.mark.parametrize("words", CALLS.values(), ids=CALLS)


def both(modcheck: Modcheck, name: str, words: tuple[str, ...]) -> tuple[str, list[dict[str, Any]], Run]:
    """The report, and the modules of the JSON of the same call."""
    run, told = modcheck("--format", name, *words), modcheck("--format", "json", *words)
    assert run.status == told.status
    return run.stdout, told.document["modules"], told


# --- junit ---------------------------------------------------------------------------------------------------------

#: what junit-10.xsd allows of what modcheck writes: attributes (those demanded first), and elements within
_JUNIT = {
    "testsuites": ((), ("name", "time", "tests", "failures", "errors"), {"testsuite"}),
    "testsuite": (("name", "tests", "failures", "errors"), ("skipped", "time"), {"properties", "testcase"}),
    "properties": ((), (), {"property"}),
    "property": (("name", "value"), (), set()),
    "testcase": (("name",), ("classname", "time"), {"failure", "error", "skipped", "system-out"}),
    "failure": ((), ("type", "message"), set()),
    "error": ((), ("type", "message"), set()),
    "skipped": ((), ("type", "message"), set()),
    "system-out": ((), (), set()),
}  # fmt: skip


def junit_suite(text: str) -> ElementTree.Element:
    """The one suite of a document, after everything in it was checked."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        demanded, allowed, within = _JUNIT[element.tag]
        assert set(demanded) <= set(element.attrib) <= {*demanded, *allowed}
        assert {child.tag for child in element} <= within
        assert len(element) < 2 or element.tag != "testcase" or [c.tag for c in element] == ["skipped", "system-out"]
    (suite,) = root
    cases = suite.findall("testcase")
    counted = Counter(child.tag for case in cases for child in case)
    sums = [int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")]
    assert sums == [len(cases), counted["failure"], counted["error"], counted["skipped"]]
    return suite


@calls
def test_junit(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    text, modules, told = both(modcheck, "junit", words)
    cases = junit_suite(text).findall("testcase")
    assert [case.attrib["name"] for case in cases] == [one["path"] for one in modules]
    for case, one in zip(cases, modules, strict=True):
        kinds = {child.tag: child for child in case}
        if "error" in one:
            assert one["error"] == f"{one['path']}: {kinds['error'].attrib['message']}"
        elif one["verdict"] == "refused":
            finding = next(f for f in one["findings"] if f["level"] == "error" and not f.get("ignored"))
            failure = kinds["failure"]
            assert failure.attrib["type"] == one["errno"]
            assert failure.attrib["message"] == f"{finding['rule']}: {finding['summary']}"
            lines = (failure.text or "").splitlines()
            assert lines[: min(7, len(one["log"]))] == one["log"][:7]
            assert f"why: {one['causes'][0]['why']} ({one['causes'][0]['confidence']})" in lines
            assert {f"  {step}" for step in one["causes"][0]["fix"]} <= set(lines)
        elif one["verdict"] == "unknown":
            for unknown in one["unchecked"]:
                assert unknown.get("ignored") or unknown["needs"] in kinds["skipped"].attrib["message"]
        else:
            assert set(kinds) <= {"system-out"}
        if "system-out" in kinds:
            assert (kinds["system-out"].text or "").splitlines() == one["log"]
        elif "error" not in one and one["verdict"] != "refused":
            assert not one["log"]
    suites = list(JUnitXml.fromstring(text.encode()))
    assert [(s.tests, s.failures, s.skipped, s.errors) for s in suites] == [
        tuple(told.document["summary"][name] for name in ("modules", "refused", "unknown", "errors"))
    ]


def test_junit_says_what_was_judged_by(modcheck: Modcheck) -> None:
    suite = junit_suite(modcheck("--format", "junit", "rk3588/chrdevbase.ko", *TREE, "--loader", "insmod").stdout)
    found = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert found["release"] == "6.1.176-rockchip-rk3588"
    assert (found["loader"], found["arch"]) == ("insmod", "arm64")
    assert "no lockdown" in found["assumed"]
    assert suite.find("testcase").attrib["classname"] == "modcheck.6_1_176-rockchip-rk3588"  # type: ignore[union-attr]


# --- sarif ---------------------------------------------------------------------------------------------------------

_TEXT = {"type": "string", "minLength": 1, "pattern": r"^([^{}]|\{\{|\}\})*$"}


def _closed(optional: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_MESSAGE = _closed(text=_TEXT)
_LOCATIONS = {
    "type": "array", "minItems": 1, "maxItems": 1,
    "items": _closed(physicalLocation=_closed(
        artifactLocation=_closed(uri={"type": "string", "pattern": r"^[A-Za-z0-9%/._~-]+$|^file:///[A-Za-z0-9%/._~-]+$"}),
        region=_closed(startLine={"const": 1}, startColumn={"const": 1}, endLine={"const": 1}, endColumn={"const": 1}),
    )),
}  # fmt: skip
_NOTIFICATIONS = {
    "type": "array", "items": _closed(("locations",), level={"const": "error"}, message=_MESSAGE, locations=_LOCATIONS)
}  # fmt: skip
_DESCRIBED = _closed(text={**_TEXT, "maxLength": 1024})
_RULE = _closed(
    id={"enum": list(RULES)}, shortDescription=_DESCRIBED, fullDescription=_DESCRIBED,
    help=_closed(text=_TEXT, markdown=_TEXT),
)  # fmt: skip
_RESULT = {
    **_closed(
        ("ruleIndex",),
        ruleId={"type": "string"}, ruleIndex={"type": "integer"}, kind={"enum": ["fail", "open"]},
        level={"enum": ["error", "warning", "note", "none"]}, message=_MESSAGE, locations=_LOCATIONS,
        partialFingerprints=_closed(primaryLocationLineHash={"type": "string", "pattern": "^[0-9a-f]{16}:[0-9]+$"}),
        suppressions={
            "type": "array", "items": _closed(kind={"const": "external"}, justification={"const": "--ignore"})
        },
        properties=_closed(
            module={"type": "string"}, verdict={"enum": ["loads", "refused", "unknown"]},
            errno={"type": ["string", "null"], "pattern": "^E[A-Z0-9]+$"},
        ),
    ),
    # SARIF 2.1.0, 3.27.10: a level is for what failed
    "if": {"properties": {"kind": {"const": "open"}}},
    "then": {"properties": {"level": {"const": "none"}}},
    "else": {"properties": {"level": {"not": {"const": "none"}}}},
}  # fmt: skip
_SARIF = {
    **_closed(
        version={"const": "2.1.0"},
        runs={"type": "array", "minItems": 1, "maxItems": 1, "items": _closed(
            ("automationDetails", "properties"),
            tool=_closed(driver=_closed(
                name={"const": "modcheck"}, version={"type": "string"},
                rules={"type": "array", "items": _RULE, "minItems": len(RULES), "maxItems": len(RULES)},
            )),
            automationDetails=_closed(id={"type": "string", "pattern": "^modcheck/.+/$"}),
            properties={"type": "object"},
            results={"type": "array", "items": _RESULT},
            invocations={"type": "array", "minItems": 1, "maxItems": 1, "items": _closed(
                ("toolExecutionNotifications", "toolConfigurationNotifications"),
                executionSuccessful={"type": "boolean"},
                toolExecutionNotifications=_NOTIFICATIONS, toolConfigurationNotifications=_NOTIFICATIONS,
            )},
        )},
    ),
}  # fmt: skip
_SARIF["properties"]["$schema"] = {
    "const": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
}
_SARIF_VALIDATOR = jsonschema.Draft202012Validator(_SARIF)


def sarif_run(text: str) -> dict[str, Any]:
    """The one run of a document, after everything in it was checked."""
    assert text.isascii()
    document = json.loads(text)
    _SARIF_VALIDATOR.validate(document)
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert "ruleIndex" not in result or rules[result["ruleIndex"]] == result["ruleId"]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    (invocation,) = run["invocations"]
    told = [*invocation.get("toolExecutionNotifications", ()), *invocation.get("toolConfigurationNotifications", ())]
    assert invocation["executionSuccessful"] == (not told)
    return run  # type: ignore[no-any-return]


def path_of(result: dict[str, Any]) -> str:
    """The path that a result's URI stands for."""
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    parts = urlsplit(uri)
    assert (parts.scheme, parts.query, parts.fragment) == ("file" if parts.path.startswith("/") else "", "", "")
    return os.fsdecode(unquote_to_bytes(parts.path))


@calls
def test_sarif(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    text, modules, told = both(modcheck, "sarif", words)
    run = sarif_run(text)
    expected = []
    for one in modules:
        if "error" not in one:
            expected += [(one, found, "fail", found["level"]) for found in one["findings"]]
            expected += [(one, found, "open", "none") for found in one["unchecked"]]
    for result, (one, found, kind, level) in zip(run["results"], expected, strict=True):
        assert (result["ruleId"], result["kind"], result["level"]) == (found["rule"], kind, level)
        assert path_of(result) == one["path"]
        assert bool(result["suppressions"]) == found.get("ignored", False)
        assert result["properties"] == {name: one[name] for name in ("verdict", "errno")} | {"module": one["name"]}
        message = result["message"]["text"].replace("{{", "{").replace("}}", "}")
        if kind == "open":
            assert message == f"not decided, for want of: {found['needs']}"
        else:
            assert message.splitlines()[0] == found["summary"]
            for part in (*found["log"][:7], found["why"], *found["fix"]):
                assert part in message
    (invocation,) = run["invocations"]
    errors = [one for one in modules if "error" in one]
    found = invocation["toolExecutionNotifications"]
    assert [(path_of(one), one["message"]["text"]) for one in found] == [(one["path"], one["error"]) for one in errors]
    assert run["properties"]["release"] == told.document["target"]["release"]


def test_sarif_says_of_a_rule_what_explain_says(modcheck: Modcheck) -> None:
    run = sarif_run(modcheck("--format", "sarif", "rk3588/chrdevbase.ko", *TREE).stdout)
    for rule in run["tool"]["driver"]["rules"]:
        short = rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"] == RULES[rule["id"]].does
        assert RULES[rule["id"]].does.startswith(short)
        assert (short[-1], short.count("(")) == (".", short.count(")"))
        assert RULES[rule["id"]].mend in rule["help"]["text"]


def test_sarif_fingerprints_stay_while_the_file_changes(modcheck: Modcheck, tmp_path: Path) -> None:
    found = []
    for sample in ("rk3588/no-suffix/chrdevbase.ko", "rk3588-modversions/chrdevbase.ko"):
        shutil.copy(SAMPLES / sample, tmp_path / "x.ko")
        results = sarif_run(modcheck("--format", "sarif", tmp_path / "x.ko", *TREE).stdout)["results"]
        found.append([one["partialFingerprints"] for one in results if one["ruleId"] == "vermagic"])
    assert found[0]
    assert found[0] == found[1]


# --- github --------------------------------------------------------------------------------------------------------


class Command(NamedTuple):
    """A workflow command as the runner understands it."""

    name: str
    properties: dict[str, str]
    data: str


def command(line: str) -> Command | None:
    """The command on a line of output, None if it is plain output.

    The order in which it is taken apart is the runner's: `::` at the beginning, the next `::`, commas, `=`; then the
    escapes are undone, %25 last. The old form `##[…]` counts anywhere in a line that is none of the new form.
    """
    line = line.lstrip()
    if line.startswith("::") and (end := line.find("::", 2)) >= 0:
        name, _, words = line[2:end].partition(" ")
        if name in ("error", "warning", "notice"):
            properties = dict(word.split("=", 1) for word in words.strip().split(",") if "=" in word)
            return Command(
                name, {key: _undone(value, True) for key, value in properties.items()}, _undone(line[end + 2 :])
            )
    assert "##[" not in line
    return None


def _undone(text: str, of_property: bool = False) -> str:
    for token, letter in (("%0D", "\r"), ("%0A", "\n"), *((("%3A", ":"), ("%2C", ",")) if of_property else ())):
        text = text.replace(token, letter)
    return text.replace("%25", "%")


def github_commands(text: str) -> tuple[list[Command], str]:
    """The commands of a report, and its last line, which is none."""
    *lines, last = re.split("\r\n|\r|\n", text.removesuffix("\n"))  # what .NET's reader takes for a line's end
    found = [command(line) for line in lines]
    assert None not in found
    assert command(last) is None
    return [one for one in found if one], last


@calls
def test_github(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    text, modules, _ = both(modcheck, "github", words)
    commands, last = github_commands(text)
    verbose = "-v" in words
    for one in modules:
        mine = [found for found in commands if found.properties["file"] == one["path"]]
        levels = Counter(found.name for found in mine)
        if "error" in one:
            assert [found.name for found in mine] == ["error"]
            assert one["error"] == f"{one['path']}: {mine[0].data}"
            continue
        assert levels["warning"] == (one["verdict"] == "unknown")
        complaints = [found for found in one["findings"] if found["level"] == "warning" or found.get("ignored")]
        assert [found.data.splitlines()[0] for found in mine if found.name == "notice"] == [
            found["summary"] for found in complaints
        ]
        if one["verdict"] == "refused":
            assert 1 <= levels["error"] <= len(one["causes"])
            assert f"({one['errno']})" in mine[0].properties["title"]
            lines = mine[0].data.splitlines()
            assert lines[1 : 1 + min(7, len(one["log"]))] == one["log"][:7]
            whole = "\n".join(found.data for found in mine)
            refusals = {found["rule"] for found in one["findings"] if found["level"] == "error"}
            told = [cause for cause in one["causes"] if cause["why"] in whole]
            assert verbose <= (told == one["causes"])
            assert refusals <= {rule for cause in told for rule in cause["explains"]}
        else:
            assert not levels["error"]
        for unknown in one["unchecked"]:
            told_so = one["verdict"] == "unknown" and not unknown.get("ignored")
            assert any(unknown["needs"] in found.data for found in mine) >= told_so
    assert {found.properties["file"] for found in commands} <= {one["path"] for one in modules}
    verdicts = Counter("error" if "error" in one else one["verdict"] for one in modules)
    assert f"{verdicts['loads']} loads, {verdicts['refused']} refused, {verdicts['unknown']} unknown" in last


# --- markdown ------------------------------------------------------------------------------------------------------

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def markdown_items(text: str) -> list[list[Token]]:
    """The tokens of each item of the list, after everything in the document was checked."""
    tokens = _MARKDOWN.parse(text)
    flat = [part for token in tokens for part in (token, *(token.children or ()))]
    assert {token.type for token in flat} <= {
        "heading_open", "heading_close", "paragraph_open", "paragraph_close", "bullet_list_open", "bullet_list_close",
        "list_item_open", "list_item_close", "inline", "fence", "text", "code_inline", "strong_open", "strong_close",
        "hardbreak", "softbreak",
    }  # fmt: skip
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2"]
    items: list[list[Token]] = []
    for token in tokens:
        if token.type == "list_item_open" and token.level == 1:
            items.append([])
        elif items and token.level > 1:
            items[-1].append(token)
    return items


def said(tokens: list[Token]) -> str:
    """The text that a reader sees."""
    inline = [token for token in tokens if token.type == "inline"]
    parts = [
        "".join(part.content or "\n" * part.type.endswith("break") for part in one.children or ()) for one in inline
    ]
    return "\n".join(parts).replace("\u200b", "")


@calls
def test_markdown(modcheck: Modcheck, words: tuple[str, ...]) -> None:
    text, modules, told = both(modcheck, "markdown", words)
    items = markdown_items(text)
    for tokens, one in zip(items, modules, strict=True):
        first = next(token for token in tokens if token.type == "inline").children or []
        ticked, path, *_ = first
        assert ticked.content == ("[x] " if one.get("verdict") == "loads" and "error" not in one else "[ ] ")
        assert (path.type, path.content) == ("code_inline", one["path"])
        shown = said(tokens)
        fences = [token.content.splitlines() for token in tokens if token.type == "fence"]
        if "error" in one:
            assert one["error"].removeprefix(f"{one['path']}: ") in shown
            continue
        assert shown[4:].startswith(f"{one['path']} {one['verdict']}")
        if one["verdict"] == "refused":
            assert f"({one['errno']})" in shown
            if one["log"]:
                assert fences[0][:7] == one["log"][:7]
            assert f"why: {one['causes'][0]['why']} ({one['causes'][0]['confidence']})" in shown
            assert one["causes"][0]["fix"] in fences
            for evidence in one["causes"][0]["evidence"]:
                assert evidence in shown
        if one["verdict"] != "loads":
            for unknown in one["unchecked"]:
                assert unknown.get("ignored") or unknown["needs"] in shown
        for found in one["findings"]:
            if found["level"] == "warning" or found.get("ignored"):
                assert found["summary"] in shown
    everything = said(_MARKDOWN.parse(text))
    for assumed in told.document["assumed"]:
        assert assumed in everything
    assert "not predicted" in everything
    assert (told.document["target"]["release"] or "release unknown") in everything


# --- all of them ---------------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[str], Any]] = {
    "junit": junit_suite, "sarif": sarif_run, "github": github_commands, "markdown": markdown_items,
}  # fmt: skip


def test_formats_are_tested() -> None:
    assert set(FORMATS) - {"text", "json"} == set(READERS) == set(NEW)


def test_a_damaged_file_in_a_folder_is_one_among_the_others(modcheck: Modcheck, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "rk3588/chrdevbase.ko", tmp_path / "a.ko")
    (tmp_path / "b.ko").write_bytes((SAMPLES / "rk3588/chrdevbase.ko").read_bytes()[:3000])
    (tmp_path / "c.ko.xz").write_bytes(b"\xfd7zXZ\0 and no more")
    shutil.copy(SAMPLES / "rk3588/no-suffix/sample_export.ko", tmp_path / "d.ko")
    runs = {name: modcheck("--format", name, tmp_path, *TREE) for name in NEW}
    assert {run.status for run in runs.values()} == {2}
    cases = junit_suite(runs["junit"].stdout).findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [["system-out"], ["failure"], ["error"], ["failure"]]
    run = sarif_run(runs["sarif"].stdout)
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "broken .xz file" in told["message"]["text"]
    errors = [PurePosixPath(path_of(one)).name for one in run["results"] if one["level"] == "error"]
    assert errors == ["b.ko", "d.ko"]
    commands, last = github_commands(runs["github"].stdout)
    assert [(one.name, Path(one.properties["file"]).name) for one in commands] == [
        ("error", "b.ko"), ("error", "c.ko.xz"), ("error", "d.ko"),
    ]  # fmt: skip
    assert last == "modcheck: 3 modules: 1 loads, 2 refused, 0 unknown; 1 file is no kernel module, or cannot be read"
    marks = [said(tokens)[:3] for tokens in markdown_items(runs["markdown"].stdout)]
    assert marks == ["[x]", "[ ]", "[ ]", "[ ]"]


def test_a_broken_target_is_told_in_every_format(modcheck: Modcheck, tmp_path: Path) -> None:
    table = tmp_path / "::error::]]> `*.symvers"
    table.write_bytes(b"no table\n")
    runs = {name: modcheck("--format", name, "rk3588/chrdevbase.ko", "--symvers", table) for name in NEW}
    assert {run.status for run in runs.values()} == {2}
    reason = runs["junit"].stderr.strip().removeprefix("modcheck: ")
    assert "not a line of a Module.symvers" in reason
    error = junit_suite(runs["junit"].stdout).find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == reason
    run = sarif_run(runs["sarif"].stdout)
    (told,) = run["invocations"][0]["toolConfigurationNotifications"]
    assert (run["results"], told["message"]["text"]) == ([], reason)
    only = command(runs["github"].stdout.rstrip("\n"))
    assert only
    assert (only.name, only.data, set(only.properties)) == ("error", reason, {"title"})
    assert reason in said(_MARKDOWN.parse(runs["markdown"].stdout))
    assert markdown_items(runs["markdown"].stdout) == []


@pytest.mark.parametrize("name", NEW)
def test_strict_changes_the_exit_status_alone(modcheck: Modcheck, name: str) -> None:
    words = ("--format", name, "rk3588/sample_import.ko", *TREE)
    loose, strict = modcheck(*words), modcheck(*words, "--strict")
    assert (loose.status, strict.status) == (0, 3)
    assert loose.stdout == strict.stdout


@pytest.mark.parametrize("name", NEW)
def test_a_format_may_go_to_a_file(modcheck: Modcheck, tmp_path: Path, name: str) -> None:
    report = tmp_path / "report"
    run = modcheck("--format", "text", "--format", f"{name}:{report}", "rk3588", *TREE)
    assert "refused" in run.stdout
    assert report.read_text() == modcheck("--format", name, "rk3588", *TREE).stdout


def test_only_the_formats_asked_for_are_imported() -> None:
    code = "import sys, modcheck.cli.check, modcheck.report.text, modcheck.report.json; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "modcheck.report.text" in found
    assert not {f"modcheck.report.{name}" for name in NEW} & set(found)
    assert "xml.sax.saxutils" not in found


def test_a_refusal_without_a_finding_is_told_all_the_same() -> None:
    """No stage refuses without one; a caller of the API may make such a prediction."""
    one = replace(predictions()[1], findings=(), causes=(), log=())
    assert one.verdict == "refused"
    for name, document in written([one]).items():
        READERS[name](document)
        assert "ENOEXEC" in document


# --- bytes that would break them -----------------------------------------------------------------------------------

_SHARDS = (
    "]]>", "<![CDATA[", "&#0;", "</failure>", "-->", "<script>", "::error::x", "\n::error::x\n", "##[error]", "%0A",
    "%3A", ",title=x",
    "`", "```", "~~~", "*", "_", "[x](http://x)", "![x](y)", "<b>", "| a |", "|-|", "# x", "\n\n", "\r", "\r\n", "- ",
    "1. ", "> ", "\\",
    "@you", "#1", "http://x.y", "www.x.y", "{0}", "}", "{", "\0", "\x1b[31m", "\x85", "\u2028", "\ufffe", "\u202e",
    "\udc80", "    ", "\t",
    "=", "---", "===", "$x$", "~x~", "&amp;", "%", ":", ";",
)  # fmt: skip
hostile = st.lists(
    st.one_of(st.sampled_from(_SHARDS), st.binary(min_size=1, max_size=8).map(os.fsdecode)), min_size=1
).map("".join)


def _named(text: str) -> str:
    """As the system gives a file's name: half characters that make a whole one are that one."""
    return os.fsdecode(os.fsencode(text))


#: a file's name may be anything but empty, and has no NUL; nor is it another one's: `.` and `//` are left out of a URI
hostile_path = hostile.map(lambda text: _named("x" + text.replace("\0", "").replace("/", "\\")))


@cache
def predictions() -> tuple[Prediction, ...]:
    """One that loads, one refused for several causes, one unknown."""
    target = read_target(SAMPLES / "rk3588/tree")
    proprietary = read_module(SAMPLES / "rk3588/no-suffix/sample_proprietary.ko")
    module = read_module(SAMPLES / "rk3588/chrdevbase.ko")
    little = read_target(release="6.1.176-rockchip-rk3588")
    found = (
        advise(predict(module, target), target),
        advise(predict(proprietary, target), target),
        advise(predict(module, little), little),
    )
    assert [one.verdict for one in found] == ["loads", "refused", "unknown"]
    return found


def poisoned(one: Prediction, path: str, text: str) -> Prediction:
    """The prediction with `text` wherever a module's or a target's bytes may come to stand."""
    return replace(
        one,
        path=path,
        name=text,
        log=tuple(text for _ in one.log),
        findings=tuple(
            replace(
                found,
                summary=f"about {text}",
                log=tuple(LogLine(text) for _ in found.log),
                why=f"for {text}",
                fix=(text,) * len(found.fix),
            )
            for found in one.findings
        ),
        causes=tuple(
            Cause(c.name, c.confidence, f"for {text}", (f"{text}",) * len(c.evidence), (text,) * len(c.fix), c.explains)
            for c in one.causes
        ),
        unchecked=tuple(Unknown(unknown.rule, f"{index} {text}") for index, unknown in enumerate(one.unchecked)),
        force=one.force and f"note {text}",
        fetch=tuple(fetch._replace(file=text) for fetch in one.fetch),
        failed_in=one.failed_in and text,
        assumed=tuple(f"{index} {text}" for index, _ in enumerate(one.assumed)),
    )


def written(results: list[Result], release: str = "6.1") -> dict[str, str]:
    """The documents on these results, of every format."""
    target = replace(read_target(release="6.1"), release=release, vermagic=release, notes=(f"note {release}",))
    around = Context(target, "modprobe", "0.1")
    totals = Totals()
    for one in results:
        totals.add(one)
    return {
        name: "".join(
            format_named(name).document([format_named(name).entry(one, around) for one in results], totals, around)
        )
        for name in NEW
    }


def all_poisoned(path: str, text: str) -> dict[str, str]:
    """The documents on one module of each kind; their paths differ in the last letter."""
    judged = [poisoned(one, f"{path}{number}", text) for number, one in enumerate((*predictions(), predictions()[1]))]
    judged[3] = replace(judged[3], error=text)
    return written([*judged, (f"{path}4", text)], text)


@cache
def harmless() -> dict[str, str]:
    return all_poisoned("x", "xx")


def markdown_structure(text: str) -> list[tuple[int, str]]:
    tokens = [(token, part) for token in _MARKDOWN.parse(text) for part in (token, *(token.children or ()))]
    return [(token.level, part.type) for token, part in tokens if part.type != "text"]


def xml_structure(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(element.tag, tuple(element.attrib)) for element in ElementTree.fromstring(text).iter()]


@given(hostile_path, hostile.map(lambda text: f"x{text}x"))
@settings(max_examples=40, deadline=None)
def test_nothing_in_a_module_breaks_a_document(path: str, text: str) -> None:
    _hold(path, text, all_poisoned(path, text), harmless())


@given(hostile_path, hostile)
@settings(max_examples=40, deadline=None)
def test_nothing_at_the_beginning_of_a_line_does(path: str, text: str) -> None:
    """As above; where a text begins a line, or is nothing but blanks, markup could begin there, too."""
    _hold(path, text, all_poisoned(path, text), None)


def _hold(path: str, text: str, documents: dict[str, str], others: dict[str, str] | None) -> None:
    """The documents have the very structure of those on a harmless module, and the texts stand in them, printable."""
    for name, document in documents.items():
        document.encode()  # half characters cannot be written
        assert document.replace("\n", "").isprintable()
        READERS[name](document)
    commands, _ = github_commands(documents["github"])
    paths = [f"{path}{number}" for number in range(5)]
    assert [*dict.fromkeys(one.properties["file"] for one in commands)] == [*map(printable, paths[1:])]
    assert printable(text) in commands[0].data.split("\n")[0] + commands[-1].data
    cases = junit_suite(documents["junit"]).findall("testcase")
    assert [case.attrib["name"] for case in cases] == [printable(one) for one in paths]
    failure = cases[1].find("failure")
    assert failure is not None
    assert (failure.text or "").split("\n")[0] == printable(text)
    run = sarif_run(documents["sarif"])
    assert {path_of(one) for one in run["results"]} == set(paths[:3])
    items = markdown_items(documents["markdown"])
    for tokens, one in zip(items, paths, strict=True):
        first = next(token for token in tokens if token.type == "inline").children or []
        assert first[1].content == printable(one)
    fences = [token.content for token in items[1] if token.type == "fence"]
    assert fences[0].removesuffix("\n").split("\n") == [printable(text)] * len(predictions()[1].log)
    # what CommonMark leaves alone, and GitHub or GitLab do not, outside of code
    prose = [part.content for token in _MARKDOWN.parse(documents["markdown"]) for part in token.children or ()
             if part.type == "text"]  # fmt: skip
    assert not re.search(r"[@#](?!\u200b)", "".join(prose))
    assert not re.search(r"(?<!\\)://|www\.", in_a_sentence(text), re.IGNORECASE)
    if others is None:
        return
    assert markdown_structure(documents["markdown"]) == markdown_structure(others["markdown"])
    assert xml_structure(documents["junit"]) == xml_structure(others["junit"])
    assert [(one.name, set(one.properties)) for one in commands] == [
        (one.name, set(one.properties)) for one in github_commands(others["github"])[0]
    ]
    assert [one["ruleId"] for one in run["results"]] == [one["ruleId"] for one in sarif_run(others["sarif"])["results"]]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_file_name_of_any_bytes(modcheck: Modcheck, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    name = b"\xff \x1b[31m `]]>\n::error::x,y%0A @you <b>.ko"
    shutil.copy(SAMPLES / "rk3588/no-suffix/chrdevbase.ko", os.path.join(folder, name))
    path = os.fsdecode(os.path.join(folder, name))
    found = {}
    for format_name in NEW:
        report = tmp_path / "report"
        assert modcheck("--format", f"{format_name}:{report}", path, *TREE).status == 1
        found[format_name] = report.read_text(encoding="utf-8")
        READERS[format_name](found[format_name])
    shown = printable(path)
    assert shown.endswith(r"/\xff \x1b[31m `]]>\x0a::error::x,y%0A @you <b>.ko")
    assert github_commands(found["github"])[0][0].properties["file"] == shown
    assert path_of(sarif_run(found["sarif"])["results"][0]) == path
