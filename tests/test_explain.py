"""`modcheck explain`: every rule that a report can name has its text, and no text is without a rule."""

from __future__ import annotations

import re
from pathlib import Path

from test_cli import Modcheck

from modcheck.advice.rules import RULES

STAGES = Path(__file__).parent.parent / "modcheck/loader/stages"
#: named by the contract, and not among the checks yet
ANNOUNCED = {"compression"}


def test_each_rule_of_the_stages_has_a_text() -> None:
    found = set()
    for path in STAGES.glob("*.py"):
        for names, values in re.findall(r'^([A-Z_, ]+) = ("[a-z-]+"(?:, "[a-z-]+")*)$', path.read_text(), re.MULTILINE):
            assert len(names.split(",")) == len(values.split(","))
            found.update(re.findall(r'"([a-z-]+)"', values))
    assert len(found) > 20
    assert found | ANNOUNCED == set(RULES)
    assert all(text.endswith(".") for rule in RULES.values() for text in rule)


def test_explain_prints_one_or_lists_all(modcheck: Modcheck) -> None:
    run = modcheck("explain", "signature", "vermagic")
    assert run.status == 0
    assert "module.sig_enforce" in run.stdout
    assert "CONFIG_PREEMPT_BUILD" in run.stdout
    assert modcheck("explain").stdout.split() == list(RULES)
    assert modcheck("explain", "no-such-rule").status == 2
