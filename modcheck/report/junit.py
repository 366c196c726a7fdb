"""JUnit's XML, as Jenkins, GitLab and other CI servers show it: one suite, one test case a module.

There is no one standard. This keeps to what Jenkins' xunit plugin accepts (its junit-10.xsd), of which GitLab reads a
part. `refused` is a failure, `unknown` is skipped, and a file that is no module is an error. `--strict` does not
change that, only the exit status.

The document is ASCII, so that it is right in whatever encoding it is written; foreign text is made printable first, as
XML has no way to write control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from ..loader.facts import Prediction
from . import Context, Result, Totals
from .words import headed, joined, missing, open_questions, outcome, printable, refusing, whole

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
_FOOT = " </testsuite>\n</testsuites>\n"


def entry(result: Result, context: Context) -> str:
    """One test case."""
    suite = _suite(context)
    if not isinstance(result, Prediction):
        path, reason = result
        return _case(path, suite, _part("error", "unreadable", reason))
    path = result.path
    text = whole(result, verbose=context.verbose)
    if result.error:
        return _case(path, suite, _part("error", result.errno or "", result.error, text))
    if result.verdict == "refused":
        found = refusing(result)
        summary = headed(found) if found else f"refused{outcome(result, context.target)}"
        return _case(path, suite, _part("failure", result.errno or "", summary, text))
    output = f"    <system-out>{_text(joined(result.log))}</system-out>\n" if result.log else ""
    if result.verdict == "unknown":
        wanted = f"unknown{outcome(result, context.target)}; not decided, for want of: " + "; ".join(missing(result))
        return _case(path, suite, _part("skipped", "unknown", wanted, joined(open_questions(result))) + output)
    return _case(path, suite, output)


def document(entries: Iterable[str], totals: Totals, context: Context) -> Iterator[str]:
    """The suite, with what was judged by as its properties."""
    target = context.target
    properties = {
        "modcheck": context.modcheck_version,
        "loader": context.loader,
        "release": target.release,
        "arch": target.arch,
        "vermagic": target.vermagic,
        "assumed": "; ".join(totals.assumed),
    }
    refused, unknown = totals.verdicts["refused"], totals.verdicts["unknown"]
    yield _HEAD + _suite_tag(totals.modules, refused, totals.errors, unknown) + "  <properties>\n"
    for name, value in properties.items():
        if value:
            yield f"   <property name={_quoted(name)} value={_quoted(value)}/>\n"
    yield "  </properties>\n"
    yield from entries
    yield _FOOT


def failure(reason: str, loader: str, modcheck_version: str) -> str:
    """A suite of one test case, which is an error: no module could be judged."""
    case = _case("target", "modcheck", _part("error", "target", reason))
    return _HEAD + _suite_tag(1, 0, 1, 0) + case + _FOOT


def _suite(context: Context) -> str:
    """The test cases' class: the kernel, so that several of them in one build do not mix. Jenkins takes what is before
    the last dot for a package, so the release's own dots are written as underscores."""
    release = context.target.release
    return f"modcheck.{release.replace('.', '_')}" if release else "modcheck"


def _suite_tag(tests: int, failures: int, errors: int, skipped: int) -> str:
    return f' <testsuite name="modcheck" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}">\n'


def _case(path: str, suite: str, content: str) -> str:
    return f"  <testcase name={_quoted(path)} classname={_quoted(suite)}>\n{content}  </testcase>\n"


def _part(tag: str, kind: str, message: str, text: str = "") -> str:
    return f"    <{tag} type={_quoted(kind)} message={_quoted(message)}>{_text(text)}</{tag}>\n"


def _quoted(text: str) -> str:
    """One line as an attribute's value, with its quotes."""
    return _ascii(quoteattr(printable(text)))


def _text(lines: str) -> str:
    """Lines, printable already, as an element's content."""
    return _ascii(escape(lines))


def _ascii(text: str) -> str:
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")
