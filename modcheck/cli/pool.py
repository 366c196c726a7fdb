"""Work spread over processes, as one a core: results in the order of the items, whatever their number."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: work that is done so soon, in seconds, needs no bar
_SOON = 1.0

#: in a process that works: what it does
_at_work: list[Callable[[Any], Any]] = []


def jobs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says how many processes work; the command gets it as `jobs`, for `spread`."""
    told = "How many processes work on many modules; as many as there are cores by default."
    return click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help=told)(command)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    work: Callable[[Item], Outcome], items: Sequence[Item], jobs: int | None, chunk: int = 1
) -> Iterator[Outcome]:
    """`work` of each of `items`, in their order.

    :param work: called in other processes, so it must not change what others are to see; where processes cannot be
        forked, it and what it needs are pickled
    :param jobs: how many processes; None for one a core
    :param chunk: how many items a process takes at a time
    :raises BrokenProcessPool: a process was killed
    """
    jobs = min(jobs or cores(), -(-len(items) // chunk))
    if jobs <= 1:
        yield from map(work, items)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    context = get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(jobs, context, _start, (work,)) as pool:
        try:
            yield from pool.map(_call, items, chunksize=chunk)
        except BaseException:  # a process that is not waited for outlives this one, which then ends at once
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal's stderr for work that takes more than a second; called with how many more are done."""
    begun, shown, bar = time.monotonic(), 0, None

    def done(more: int) -> None:
        nonlocal shown, bar
        shown += more
        if bar is None and sys.stderr.isatty() and time.monotonic() - begun > _SOON:
            bar = click.progressbar(length=total, label=what, file=sys.stderr)
            bar.__enter__()
            more = shown
        if bar is not None:
            bar.update(more)

    try:
        yield done
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


def _start(work: Callable[[Any], Any]) -> None:
    import signal

    _at_work.append(work)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that prints


def _call(item: Any) -> Any:
    return _at_work[0](item)
