"""The checks as JUnit XML, which every CI shows: a model is a test suite, a check a test case."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from mlops_toolkit.records.result import Result
from mlops_toolkit.report import escape, rows
from mlops_toolkit.report.comment import title
from mlops_toolkit.report.sentence import detailed, verdict_sentence

_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
LONGEST = 2_000


def junit(*results: Result) -> str:
    """JUnit XML. Worse is a failure, undecided and leaning worse too where the policy asks; what says nothing is skipped.

    An error before the verdict is one test case `verdict` with an error. Valid XML 1.0 whatever the text.
    """
    root = ElementTree.Element("testsuites", name="mlops")
    for result in results:
        _suite(root, result)
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, result: Result) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_text(title(result)))
    counts = dict.fromkeys(("failures", "errors", "skipped"), 0)
    properties = ElementTree.SubElement(suite, "properties")
    for key, found in (
        ("sentence", result.sentence or verdict_sentence(result)),
        ("verdict", result.verdict),
        ("gate", result.gate),
        ("baseline", result.baseline.commit),
        ("head", result.head.commit),
    ):
        if found:
            ElementTree.SubElement(properties, "property", name=key, value=_text(found))
    if result.error is not None:
        case = ElementTree.SubElement(suite, "testcase", classname=_text(title(result)), name="verdict")
        ElementTree.SubElement(case, "error", type=_text(result.error.name), message=_text(result.error.message)).text = _text(
            result.error.message
        )
        counts["errors"] += 1
    for row in rows.ordered(result.checks, result.policy):
        case = ElementTree.SubElement(suite, "testcase", classname=_text(title(result)), name=_text(row.name))
        said = _text(". ".join(part for part in (detailed(row), row.why) if part))
        if row.tone == "bad" or (row.tone == "ask" and result.policy != "warn"):
            kind = "worse" if row.tone == "bad" else "undecided"
            ElementTree.SubElement(case, "failure", type=kind, message=_text(f"{row.word}: {said}")).text = said
            counts["failures"] += 1
        elif row.tone in ("ask", "open"):
            ElementTree.SubElement(case, "skipped", message=_text(f"{row.word}: {said}"))
            counts["skipped"] += 1
        else:
            ElementTree.SubElement(case, "system-out").text = f"{row.word}: {said}"
    suite.set("tests", str(len(suite.findall("testcase"))))
    for key, n in counts.items():
        suite.set(key, str(n))


def _text(text: str) -> str:
    """One line of characters that XML 1.0 allows."""
    return _FORBIDDEN.sub("�", escape.plain(text, LONGEST))
