"""`python -m modcheck`."""

from .cli import run

run()
