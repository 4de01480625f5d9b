"""The conditions of named slices (`length > 512 AND language IN ('de', 'fr')`): a small part of SQL, parsed here and nothing more.

    condition   comparisons joined by AND, OR, NOT and parentheses
    comparison  = == != <> < <= > >=, [NOT] IN (…), [NOT] BETWEEN a AND b, [NOT] LIKE 'a%' (ILIKE: in any case), IS [NOT] NULL,
                starts_with(a, 'b'), ends_with(a, 'b'), contains(a, 'b'): plain texts, no patterns
    value       column, "column", `column`, number, 'text', TRUE, FALSE, + - * / %, length() lower() upper() trim() abs() floor()

A text column is read as numbers where it meets a number. An empty cell is NULL, so is NaN, and NULL compares with nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_toolkit.errors import UsageError
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.predictions import numbers
from mlops_toolkit.predictions.place import shown

Kind = Literal["number", "text", "truth"]
TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])|(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)"""
    r"""|(?P<word>[^\W\d][\w.:-]*(?<![-:.]))|(?P<sign><=|>=|<>|!=|==|[-=<>()+*/%,]))""",
)
WORDS = {"and", "or", "not", "in", "between", "like", "ilike", "is", "null", "true", "false"}
COMPARISONS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
SUMS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}
PRODUCTS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {"*": lambda a, b: a * b, "/": lambda a, b: a / b, "%": lambda a, b: a % b}
FUNCTIONS: dict[str, tuple[Kind, Kind, Callable[[pl.Expr], pl.Expr]]] = {
    "length": ("text", "number", lambda a: a.str.len_chars().cast(pl.Float64)),
    "lower": ("text", "text", lambda a: a.str.to_lowercase()),
    "upper": ("text", "text", lambda a: a.str.to_uppercase()),
    "trim": ("text", "text", lambda a: a.str.strip_chars()),
    "abs": ("number", "number", lambda a: a.abs()),
    "floor": ("number", "number", lambda a: a.floor()),
}
# Whether one text has another in it, by the names that SQL, Python and JavaScript have for it.
PARTS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "starts_with": lambda a, b: a.str.starts_with(b),
    "ends_with": lambda a, b: a.str.ends_with(b),
    "contains": lambda a, b: a.str.contains(b, literal=True),
}
PARTS |= {name.replace("_", ""): PARTS[name] for name in ("starts_with", "ends_with")}
LONGEST, DEEPEST = 4000, 60


@dataclass(frozen=True)
class Value:
    """A part of a condition: what it is, and, where it is one column or one literal as written, that."""

    kind: Kind
    expr: pl.Expr
    column: str | None = None
    literal: str | None = None


def mask(frame: pl.DataFrame, condition: str, where: str) -> npt.NDArray[np.bool_]:
    """(n,) bool: the rows on which the condition is true. UsageError `bad-slice` says what in it cannot be meant."""
    return _Parser(frame, condition, where).run()


class _Parser:
    """Recursive descent over the tokens, building polars expressions of known kinds."""

    def __init__(self, frame: pl.DataFrame, text: str, where: str) -> None:
        self.frame, self.text, self.where, self.at, self.depth = frame, text, where, 0, 0
        self.tokens = self._tokens()

    def wrong(self, message: str, hint: str | None = None) -> UsageError:
        return UsageError("bad-slice", message, where=self.where, hint=hint)

    def _tokens(self) -> list[tuple[str, str]]:
        if len(self.text) > LONGEST:
            raise self.wrong(f"a condition has at most {LONGEST:,} characters, this one {len(self.text):,}")
        found, at, end = [], 0, len(self.text.rstrip())
        while at < end:
            match = TOKEN.match(self.text, at)
            if not match:
                rest = self.text[at:].lstrip()
                raise self.wrong(f"cannot read {shown(rest)}", "for example: length > 512 AND language IN ('de', 'fr')")
            kind = str(match.lastgroup)
            found.append((kind, match[kind]))
            at = match.end()
        return found

    def run(self) -> npt.NDArray[np.bool_]:
        if not self.tokens:
            raise self.wrong("the condition is empty")
        value = self.truth(self.either())
        if self.at < len(self.tokens):
            raise self.wrong(f"{shown(self.tokens[self.at][1])} is not expected after {shown(self.tokens[self.at - 1][1])}")
        result = self.frame.select(value.alias("mask").fill_null(value=False)).to_series()
        if len(result) == 1 != self.frame.height:
            result = pl.Series([bool(result[0])] * self.frame.height, dtype=pl.Boolean)
        return np.asarray(result.to_numpy(), dtype=bool)

    # --- tokens

    def word(self) -> str:
        """The next token if it is a word or sign, in lower case; "" otherwise."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] in ("word", "sign"):
            return self.tokens[self.at][1].lower()
        return ""

    def take(self, *words: str) -> str:
        """Consume the next token if it is one of `words`."""
        found = self.word()
        if found not in words:
            return ""
        self.at += 1
        return found

    def need(self, word: str) -> None:
        if not self.take(word):
            got = shown(self.tokens[self.at][1]) if self.at < len(self.tokens) else "the end"
            raise self.wrong(f"{word.upper()} is expected where {got} stands")

    # --- grammar

    def either(self) -> Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong("the condition is nested too deeply")
        value = self.both()
        while self.take("or"):
            value = Value("truth", self.truth(value) | self.truth(self.both()))
        self.depth -= 1
        return value

    def both(self) -> Value:
        value = self.negation()
        while self.take("and"):
            value = Value("truth", self.truth(value) & self.truth(self.negation()))
        return value

    def negation(self) -> Value:
        times = 0
        while self.take("not"):
            times += 1
        value = self.comparison()
        if not times:
            return value
        expr = self.truth(value)
        return Value("truth", ~expr if times % 2 else expr)

    def comparison(self) -> Value:
        left = self.sum()
        if sign := self.take(*COMPARISONS):
            return self.compare(sign, left, self.sum())
        if self.take("is"):
            negated = self.take("not")
            self.need("null")
            return Value("truth", left.expr.is_not_null() if negated else left.expr.is_null())
        negated = self.take("not")
        if self.take("in"):
            value = self.member(left)
        elif self.take("between"):
            low = self.sum()
            self.need("and")
            value = Value("truth", self.compare(">=", left, low).expr & self.compare("<=", left, self.sum()).expr)
        elif word := self.take("like", "ilike"):
            value = self.like(left, "(?si)" if word == "ilike" else "(?s)")
        elif negated:
            raise self.wrong("IN, BETWEEN or LIKE is expected after NOT")
        else:
            return left
        return Value("truth", ~value.expr) if negated else value

    def member(self, left: Value) -> Value:
        self.need("(")
        expr = self.compare("=", left, self.sum()).expr
        while self.take(","):
            expr = expr | self.compare("=", left, self.sum()).expr
        self.need(")")
        return Value("truth", expr)

    def like(self, left: Value, flags: str) -> Value:
        pattern = self.sum()
        if pattern.literal is None or pattern.kind != "text":
            raise self.wrong("LIKE needs a text in single quotes, with % for any text and _ for one character")
        parts = re.split("([%_])", pattern.literal)
        regex = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
        return Value("truth", self.as_text(left).str.contains(f"{flags}^{regex}$"))

    def sum(self) -> Value:
        value = self.product()
        while sign := self.take(*SUMS):
            value = Value("number", SUMS[sign](self.number(value), self.number(self.product())))
        return value

    def product(self) -> Value:
        value = self.signed()
        while sign := self.take(*PRODUCTS):
            value = Value("number", PRODUCTS[sign](self.number(value), self.number(self.signed())))
        return value

    def signed(self) -> Value:
        times = 0
        while sign := self.take("-", "+"):
            times += sign == "-"
        value = self.primary()
        return Value("number", -self.number(value)) if times % 2 else value

    def primary(self) -> Value:
        if self.at >= len(self.tokens):
            raise self.wrong("the condition ends where a value is expected")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Value("number", pl.lit(float(text)), literal=text)
        if kind == "text":
            inner = text[1:-1].replace("''", "'")
            return Value("text", pl.lit(inner), literal=inner)
        if kind == "quoted":
            return self.column(text[1:-1].replace('""', '"'), quoted=True)
        if text == "(":
            value = self.either()
            self.need(")")
            return value
        low = text.lower()
        if kind == "word" and low in ("true", "false"):
            return Value("truth", pl.lit(low == "true"), literal=low)
        if kind == "word" and self.word() == "(":
            return self.function(low)
        if kind != "word" or low in WORDS:
            raise self.wrong(f"a value is expected where {shown(text)} stands")
        return self.column(text)

    def function(self, name: str) -> Value:
        if name not in FUNCTIONS and name not in PARTS:
            raise self.wrong(f"there is no function {shown(name)}", did_you_mean(name, [*FUNCTIONS, *PARTS]))
        self.need("(")
        argument = self.either()
        if name in PARTS:
            self.need(",")
            part = self.either()
            self.need(")")
            return Value("truth", PARTS[name](self.as_text(argument), self.as_text(part)))
        self.need(")")
        takes, gives, apply = FUNCTIONS[name]
        return Value(gives, apply(self.as_text(argument) if takes == "text" else self.number(argument)))

    def column(self, name: str, *, quoted: bool = False) -> Value:
        if name not in self.frame.columns:
            hint = did_you_mean(name, [c for c in self.frame.columns if not c.startswith("\0")])
            if quoted:
                hint = f"text stands in single quotes: '{name}'; of columns, {hint}"
            raise self.wrong(f"there is no column {shown(name)}", hint)
        kind = self.frame.schema[name]
        if kind == pl.Boolean:
            return Value("truth", pl.col(name), column=name)
        if kind.is_numeric():
            return Value("number", pl.col(name).cast(pl.Float64).fill_nan(None), column=name)
        if numbers.wordless(kind):
            raise self.wrong(f"a {kind} column cannot stand in a condition")
        return Value("text", pl.col(name).cast(pl.String), column=name)

    # --- kinds

    def compare(self, sign: str, left: Value, right: Value) -> Value:
        kinds = {left.kind, right.kind}
        if kinds == {"text"}:
            return Value("truth", COMPARISONS[sign](left.expr, right.expr))
        if "truth" in kinds:
            if sign not in ("=", "==", "!=", "<>"):
                raise self.wrong("true and false can only be compared by = and !=")
            return Value("truth", COMPARISONS[sign](self.truth(left), self.truth(right)))
        sides = (self.number(side).fill_nan(None) for side in (left, right))  # 0 / 0 is no number, and polars holds it above all of them
        return Value("truth", COMPARISONS[sign](*sides))

    def number(self, value: Value) -> pl.Expr:
        if value.kind == "number":
            return value.expr
        if value.kind == "text" and value.literal is not None:
            parsed = numbers.parse(pl.Series([value.literal]))[0]
            if parsed is None:
                raise self.wrong(f"{shown(value.literal)} is not a number")
            return pl.lit(parsed)
        if value.kind == "text" and value.column is not None:
            return self._parsed(value.column)
        raise self.wrong("a number is expected", "true, false and texts have no order among numbers")

    def _parsed(self, name: str) -> pl.Expr:
        key = f"\0number {name}"
        if key not in self.frame.columns:
            raw = self.frame[name].cast(pl.String)
            raw = raw.set(raw == "", None) if raw.len() else raw
            parsed = numbers.parse(raw)
            broken = raw.filter(parsed.is_null() & raw.is_not_null())
            if len(broken):
                raise self.wrong(f"the column {shown(name)} is compared with a number but holds {shown(broken[0])}")
            self.frame = self.frame.with_columns(parsed.alias(key))
        return pl.col(key)

    def as_text(self, value: Value) -> pl.Expr:
        if value.kind == "text":
            return value.expr
        if value.column is not None:
            return pl.col(value.column).cast(pl.String)
        raise self.wrong("a text is expected")

    def truth(self, value: Value) -> pl.Expr:
        if value.kind == "truth":
            return value.expr
        if value.kind == "text" and value.column is not None:
            low = self.frame[value.column].cast(pl.String).str.to_lowercase()
            if low.drop_nulls().is_in(["true", "false"]).all():
                return pl.col(value.column).cast(pl.String).str.to_lowercase() == "true"
        raise self.wrong("a condition is expected, not a value", "for example: length > 512")
