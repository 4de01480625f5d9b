"""Commands in the log, outputs, summary: what the runner reads, read back as the runner does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.forge import runner
from mlops_toolkit.forge.base import Annotation


def read_outputs(text: str) -> dict[str, str]:
    """The heredoc format as actions/runner reads it: up to a line that is exactly the delimiter."""
    found: dict[str, str] = {}
    lines = text.split("\n")
    while lines and lines[0]:
        name, _, end = lines.pop(0).partition("<<")
        value = []
        while (line := lines.pop(0)) != end:
            value.append(line)
        found[name] = "\n".join(value)
    return found


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner reads it."""
    head, _, message = line[2:].partition("::")
    level, _, listed = head.partition(" ")
    properties = dict(each.split("=", 1) for each in listed.split(",") if each)

    def unescape(text: str) -> str:
        return text.replace("%2C", ",").replace("%3A", ":").replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")

    return level, {k: unescape(v) for k, v in properties.items()}, unescape(message)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_every_value_of_an_output_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    file = tmp_path_factory.mktemp("out") / "output"
    assert runner.outputs(values, {"GITHUB_OUTPUT": str(file)}) == []
    raw = file.read_bytes().decode() if values else ""
    assert read_outputs(raw) == values


def test_outputs_are_appended_and_one_too_long_for_a_job_is_named_and_left_empty(tmp_path: Path) -> None:
    env = {"GITHUB_OUTPUT": str(tmp_path / "output")}
    runner.outputs({"verdict": "pass"}, env)
    assert runner.outputs({"metrics": "x" * 1_000_001, "gate": "passed"}, env) == ["metrics"]
    assert read_outputs((tmp_path / "output").read_text()) == {"verdict": "pass", "metrics": "", "gate": "passed"}


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200), st.text(max_size=50), st.text(max_size=50))
def test_an_annotation_is_one_line_that_reads_back_whole(message: str, title: str, file: str) -> None:
    line = runner.command(Annotation("error", message, title=title or None, file=file or None, line=3))
    assert "\n" not in line
    assert "\r" not in line
    level, properties, said = read_command(line)
    assert (level, said) == ("error", message or " ")
    assert properties == {"line": "3", **({"title": title} if title else {}), **({"file": file} if file else {})}


def test_ten_of_a_level_are_shown_and_the_last_says_how_many_are_not() -> None:
    err = io.StringIO()
    runner.annotate([Annotation("error", f"e{i}") for i in range(13)] + [Annotation("notice", "n")], err)
    lines = err.getvalue().splitlines()
    assert lines[:9] == [f"::error::e{i}" for i in range(9)]
    assert lines[9:] == ["::error title=and more::4 more are in the report", "::notice::n"]


def test_a_long_annotation_is_shortened_to_what_the_runner_keeps() -> None:
    assert len(read_command(runner.command(Annotation("warning", "%" * 9_000)))[2]) == runner.MESSAGE_LIMIT


def test_a_summary_is_appended_and_cut_where_a_line_ends_before_a_mebibyte(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    env = {"GITHUB_STEP_SUMMARY": str(file)}
    runner.summary("# first", env)
    runner.summary("é" * 999 + "\n" + ("zeile ü " * 9 + "\n") * 20_000, env)
    raw = file.read_bytes()
    assert len(raw) <= runner.SUMMARY_LIMIT
    assert raw.startswith(b"# first\n")
    assert "zeile ü \n\n\n_The rest is left out here" in raw.decode()
    assert runner.summary("more", env).reason is None
    assert len(file.read_bytes()) <= runner.SUMMARY_LIMIT


def test_a_summary_that_cannot_be_written_is_a_reason(tmp_path: Path) -> None:
    assert runner.summary("x", {}).reason == "there is no job summary here"
    assert "could not be written" in (runner.summary("x", {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "such")}).reason or "")


def test_a_token_is_masked_but_never_a_value_so_short_that_masking_it_would_blank_others() -> None:
    err = io.StringIO()
    runner.mask("1", err)
    runner.mask("ghp_secret%1", err)
    assert err.getvalue() == "::add-mask::ghp_secret%251\n"
