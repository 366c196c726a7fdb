"""`modcheck capture`: the script that describes a board, to be run there."""

from __future__ import annotations

from importlib.resources import files

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def capture() -> None:
    """Print a POSIX sh script that, run on the board, writes the board's facts as one tar to its output.

    \b
    modcheck capture > capture.sh
    ssh root@board sh < capture.sh > board.tar
    modcheck driver.ko --target board.tar
    """
    click.echo(files(__package__).joinpath("capture.sh").read_text("utf-8"), nl=False)
