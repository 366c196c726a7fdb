"""`modcheck explain`: every rule that a report can name has its text, and no text is without a rule."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import ROOT
from test_cli import Modcheck

from modcheck.advice.rules import RULES

STAGES = Path(__file__).parent.parent / "modcheck/loader/stages"


def test_each_rule_of_the_stages_has_a_text() -> None:
    found = set()
    for path in STAGES.glob("*.py"):
        for names, values in re.findall(r'^([A-Z_, ]+) = ("[a-z-]+"(?:, "[a-z-]+")*)$', path.read_text(), re.MULTILINE):
            assert len(names.split(",")) == len(values.split(","))
            found.update(re.findall(r'"([a-z-]+)"', values))
    assert len(found) > 20
    assert found == set(RULES)
    assert all(text.endswith(".") for rule in RULES.values() for text in rule)


def test_explain_prints_one_or_lists_all(modcheck: Modcheck) -> None:
    run = modcheck("explain", "signature", "vermagic")
    assert run.status == 0
    assert "module.sig_enforce" in run.stdout
    assert "CONFIG_PREEMPT_BUILD" in run.stdout
    assert modcheck("explain").stdout.split() == list(RULES)
    assert modcheck("explain", "no-such-rule").status == 2


def test_the_report_and_the_documents_say_alike_what_is_not_predicted(modcheck: Modcheck) -> None:
    run = modcheck("rk3588/chrdevbase.ko", "--target", "rk3588/tree")
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("not predicted: ")]
    told = line.partition(": ")[2]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert f"* {told.lower()}." in readme
