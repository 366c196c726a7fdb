"""`python -m modcheck`."""

from .cli import main

main()
