"""What of the predictions may be kept in a repository: ids as salted hashes, the numbers, and the columns that are asked for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping

import polars as pl

from mlops_toolkit.predictions.table import PROB, Table


def hash_ids(ids: pl.Series, salt: str) -> pl.Series:
    """Of each id 16 hex characters of BLAKE2b keyed by the salt: equal ids stay equal, none can be read back without the salt."""
    start = hashlib.blake2b(key=hashlib.sha256(salt.encode()).digest(), digest_size=8)

    def hashed(text: str) -> str:
        digest = start.copy()
        digest.update(text.encode())
        return digest.hexdigest()

    return pl.Series(ids.name, [hashed(text) for text in ids.to_list()], dtype=pl.String)


def anonymise(table: Table, salt: str | None, keep: Iterable[str] = ()) -> bytes:
    """Parquet of id, repeat, target, prediction, scores, weight, cluster and the `keep` columns; with a salt, ids and clusters are hashed.

    Other columns stay out, and so does the text of a prediction that is not judged against a target (an answer of a language model).
    """
    return with_seeds(table, salt, keep, {}, ())[0]


def with_seeds(
    table: Table, salt: str | None, keep: Iterable[str], seeds: Mapping[int, Table], theirs: Iterable[str]
) -> tuple[bytes, dict[int, bytes]]:
    """As `anonymise`, and beside it the answers of further trainings by seed, row i of each to the example of row i.

    Of these the predictions, the scores and the columns `theirs` alone are kept, in files of their own in the same order: the ids, of which
    a file mostly consists, are there once.
    """
    own = {"score", *theirs} | ({"prediction"} if table.task_has_target else set())
    wanted = {"id", "repeat", "score", "weight", "cluster", *keep} | ({"target", "prediction"} if table.task_has_target else set())
    frame = table.frame.select([c for c in table.frame.columns if c in wanted or c.startswith(PROB)])
    answers = {seed: one.frame.select([c for c in one.frame.columns if c in own or c.startswith(PROB)]) for seed, one in seeds.items()}
    if salt is not None:
        named = [c for c in ("id", "cluster") if c in frame.columns]
        frame = frame.with_columns([hash_ids(frame[c], salt) for c in named])
        order = frame.select(pl.arg_sort_by([c for c in ("id", "repeat") if c in frame.columns])).to_series()
        frame, answers = frame[order], {seed: one[order] for seed, one in answers.items()}
    return _parquet(frame), {seed: _parquet(one) for seed, one in answers.items()}


def _parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def whole(table: Table) -> bytes:
    """Parquet of everything, previews included: for the run's own folder, never for the history."""
    return _parquet(table.frame)
