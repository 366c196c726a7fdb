"""`modcheck explain RULE`: what a rule checks, which kernels and options it depends on, how it is mended."""

from __future__ import annotations

import click

from ..advice.rules import RULES, TITLES
from .common import ERROR


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("rules", nargs=-1, metavar="[RULE...]")
@click.pass_context
def explain(context: click.Context, rules: tuple[str, ...]) -> None:
    """Say what RULE is about; without one, list them all."""
    if not rules:
        click.echo("\n".join(RULES))
    for number, name in enumerate(rules):
        rule = RULES.get(name)
        if rule is None:
            click.echo(f"modcheck: {name}: no such rule; `modcheck explain` lists them", err=True)
            context.exit(ERROR)
        click.echo("\n" * bool(number) + name)
        for title, text in zip(TITLES, rule):
            click.echo(click.wrap_text(f"{title:<15}{text}", 110, "  ", " " * 17))
