"""What a registry asks of those it does not know (`WWW-Authenticate`), and what a token must be good for.

The grammar is RFC 9110's, section 11: several challenges in one header, quoted strings with commas and escapes, token68.
Scopes are the distribution project's: `repository:owner/app:pull,push`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PIECES = re.compile(
    rf"""\s*(?:
        (?P<key>{_NAME})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_NAME}))(?=\s*(?:,|$))
      | (?P<word>[A-Za-z0-9!#$%&'*+.^_`|~/-]+=*)
      | (?P<comma>,)
    )""",
    re.VERBOSE | re.DOTALL,
)
_LONGEST = 16_384


@dataclass(frozen=True)
class Challenge:
    """One way to say who one is: scheme in lower case (`bearer`, `basic`), its parameters (names in lower case)."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header, in order; what is not understood ends the reading, and nothing is raised."""
    found: list[tuple[str, dict[str, str]]] = []
    text, at, parted = header[:_LONGEST], 0, True
    while at < len(text) and (piece := _PIECES.match(text, at)) and piece.end() > at:
        at = piece.end()
        if piece["comma"]:
            parted = True
        elif piece["key"] and found:
            value = piece["plain"] if piece["quoted"] is None else re.sub(r"\\(.)", r"\1", piece["quoted"], flags=re.DOTALL)
            found[-1][1].setdefault(piece["key"].lower(), value)
            parted = False
        elif piece["word"] and parted and re.fullmatch(_NAME, piece["word"]):
            found.append((piece["word"].lower(), {}))
            parted = False
        elif not (piece["word"] and found):  # a token68 after its scheme says nothing that is of use here
            break
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def scope(repository: str, *actions: str) -> str:
    """`repository:owner/app:pull,push`."""
    return f"repository:{repository}:{','.join(actions)}"


def united(*scopes: Iterable[str]) -> tuple[str, ...]:
    """Scopes of the same resource in one, `pull` before `push` before others, in the order of their first mention.

    One of another form (Amazon's public registry asks for the scope `aws`) is kept as it is.
    """
    actions: dict[str, dict[str, None]] = {}
    for text in (word for group in scopes for word in group):
        kind, _, rest = text.partition(":")
        name, colon, wanted = rest.rpartition(":")
        key = f"{kind}:{name}:" if colon else text
        actions.setdefault(key, {}).update(dict.fromkeys(word for word in wanted.split(",") if word) if colon else {})
    return tuple(key + ",".join(_ordered(words)) for key, words in actions.items())


def covers(have: Iterable[str], need: Iterable[str]) -> bool:
    """Whether a token for `have` is good for `need` as well."""
    have = tuple(have)
    return united(have, need) == united(have)


def _ordered(words: Iterable[str]) -> Iterator[str]:
    order = {"pull": 0, "push": 1}
    return iter(sorted(words, key=lambda word: (order.get(word, 2), word)))
