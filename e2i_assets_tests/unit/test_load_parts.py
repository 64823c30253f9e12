"""How parts of a source become writes: every row once, in order, of one origin, at most one write at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from e2i_assets.contracts.rejected import REJECTED_SCHEMA
from e2i_assets.ingest.load import ROW, Load, Part, Write, read_ahead, writes
from e2i_assets.ingest.problems import LoadError

PARTS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 4), st.sampled_from("ab")), max_size=8)
Drawn = list[tuple[int, int, str]]


def load(drawn: Drawn) -> Load:
    """A load of hcp_profiles: parts of so many rows, so many refused ones, from that file."""

    def parts() -> Iterator[Part]:
        for rows, bad, origin in drawn:
            refused = pl.DataFrame([[0, *"kcrrx"]] * bad, schema=REJECTED_SCHEMA, orient="row")
            yield Part(pl.DataFrame({"hcp_id": pl.repeat("h", rows, eager=True)}), refused, origin)

    return Load({"hcp_profiles": parts()}, "test")


def cut(drawn: Drawn, size: int) -> list[Write]:
    return list(writes(load(drawn).parts("hcp_profiles"), size))


@given(PARTS, st.integers(1, 12))
def test_every_row_is_in_one_write_in_order(drawn: Drawn, size: int) -> None:
    made = cut(drawn, size)
    assert [w.number for w in made] == list(range(len(made)))
    assert sum(w.given for w in made) == sum(rows + bad for rows, bad, _ in drawn)
    assert all(0 < w.frame.height <= size or w.refused.height for w in made)
    for origin in "ab":
        numbers = [n for w in made if w.origin == origin for n in w.frame.get_column(ROW)]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == sum(rows for rows, _, o in drawn if o == origin)


@example([(1, 0, "a"), (0, 0, "b"), (1, 0, "a")], 2, 1)
@given(PARTS, st.integers(1, 12), st.integers(1, 5))
def test_how_a_source_cuts_its_rows_does_not_matter(drawn: Drawn, size: int, piece: int) -> None:
    whole = [(rows, 0, origin) for rows, _, origin in drawn]
    finer = [
        (min(piece, rows - start), 0, origin) for rows, _, origin in whole for start in range(0, rows, piece)
    ]
    digests = [[w.digest("hcp_profiles") for w in cut(parts, size)] for parts in (whole, finer)]
    assert digests[0] == digests[1]


def test_the_time_of_arrival_is_no_part_of_the_content() -> None:
    def digest(**values: str) -> str:
        frame = pl.DataFrame({"patient_id": ["p"], "ingestion_timestamp": ["now"], ROW: [1]}).with_columns(
            **{n: pl.lit(v) for n, v in values.items()}
        )
        return Write(0, "a", frame, pl.DataFrame(schema=REJECTED_SCHEMA)).digest("patient_journeys")

    assert digest() == digest(ingestion_timestamp="later")
    assert digest() != digest(patient_id="q")


def test_items_are_made_ahead_by_another_thread_in_their_order() -> None:
    made: list[tuple[int, bool]] = []

    def items() -> Iterator[int]:
        for i in range(5):
            made.append((i, threading.current_thread() is threading.main_thread()))
            yield i

    ahead = read_ahead(items())
    assert next(ahead) == 0
    ahead.close()
    assert made == [(0, False), (1, False)], "one ahead, and no more once nobody asks"
    assert list(read_ahead(items())) == [0, 1, 2, 3, 4]


def test_a_source_that_fails_ahead_fails_where_its_row_is_due() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LoadError([])

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(LoadError):
        next(ahead)
