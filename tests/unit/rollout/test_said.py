"""The last words of a release that is taken back: what tells something, bounded, and harmless."""

from __future__ import annotations

import json

from mlops_toolkit.rollout import said


def test_messages_are_told_with_what_was_raised_and_questions_about_health_are_not() -> None:
    lines = [
        json.dumps({"message": "listening"}),
        json.dumps(
            {"message": "POST /infer 500", "error.message": "no answer", "error.stack_trace": "Traceback\n  x\nRuntimeError: no answer"}
        ),
        json.dumps({"message": "it fell", "error.stack_trace": "Traceback\n  x\nValueError: 3\n"}),
        json.dumps({"message": "GET /v2/health/ready 503"}),
        "Segmentation fault",
        "Segmentation fault",
        "",
    ]
    assert said.last(lines) == ["listening", "POST /infer 500 (no answer)", "it fell (ValueError: 3)", "Segmentation fault"]


def test_it_is_bounded_and_commands_nothing() -> None:
    hostile = ["\x1b[2J::error::x\r\nforged\u202e", "[" * 100_000, json.dumps({"message": {"a": 1}}), json.dumps([1]), "y" * 10_000]
    found = said.last(hostile * 50)
    assert len(found) == said.LINES
    assert all(len(one) <= said.LETTERS and one.isprintable() for one in found)
    assert said.last([]) == []
