"""Writing down beside the answering: what is bad takes nothing with it, what waits is bounded and kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from e2i_assets.observability import background as background_module
from e2i_assets.observability.background import Background, Unavailable
from e2i_assets.observability.database import Database, Refused
from e2i_assets.serving.server.metrics import Metrics


class Table(Database):
    """Takes rows without `bad`; is away after so many statements."""

    def __init__(self, statements: int = 10**9) -> None:
        super().__init__("nowhere")
        self.left, self.statements, self.rows = statements, 0, list[int]()

    def insert(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if self.statements == self.left:
            raise Unavailable("away")
        self.statements += 1
        if any(row["bad"] for row in rows):
            raise Refused("DataError")
        self.rows += [row["number"] for row in rows]


def insert(table: Table, bad: set[int], count: int = 1000) -> tuple[list[int], list[tuple[int, str]]]:
    """What is left of so many items, and what was told of those that are lost."""
    items, lost = list(range(count)), list[tuple[int, str]]()
    try:
        table.insert_each(
            "", items, lambda n: [{"number": n, "bad": n in bad}], lambda *details: lost.append(details)
        )
    except Unavailable:
        return items, lost
    assert items == []
    return items, lost


@pytest.mark.parametrize(
    ("bad", "most"),
    [(set(), 1), ({0}, 25), ({999}, 25), ({500}, 40), ({1, 400, 999}, 90), (set(range(1000)), 1009)],
)
def test_a_bad_request_takes_no_other_with_it(bad: set[int], most: int) -> None:
    table = Table()
    _, lost = insert(table, bad)
    assert table.rows == [number for number in range(1000) if number not in bad]
    assert lost == ([(len(bad), "DataError")] if bad else [])
    assert table.statements <= most


def test_what_was_not_written_is_left_for_another_try() -> None:
    table = Table(statements=14)
    left, lost = insert(table, {0})
    assert lost == [(1, "DataError")]
    assert table.rows
    assert [0, *table.rows, *left] == list(range(1000))


def test_what_cannot_be_made_json_is_refused_before_the_database_is_asked() -> None:
    with pytest.raises(Refused):
        Database("postgresql://127.0.0.1:1/nowhere").insert("", [{"text": "\ud800"}])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "TICK_S", 0.01)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the thread says, also where BentoML or Alembic have configured logging in this process before."""
    monkeypatch.setattr(background_module.logger, "handlers", [caplog.handler])
    monkeypatch.setattr(background_module.logger, "disabled", False)
    caplog.set_level(logging.WARNING, logger=background_module.logger.name)
    return caplog


def test_the_queue_ends_by_rows_and_outlives_whatever_fails(log: pytest.LogCaptureFixture) -> None:
    done, fails = list[str](), [True]

    def work(items: list[str]) -> None:
        if items and fails:
            fails.clear()
            raise ZeroDivisionError("1 / SECRET")
        done.extend(items)

    background = Background("log", work, places=1000)
    background.offer("first")
    until(lambda: background.dropped == 1)
    assert "log: 1 requests lost: ZeroDivisionError" in log.text
    assert "SECRET" not in log.text
    background.offer("too large", 1001)
    assert background.dropped == 2
    background.offer("second", 1000)
    until(lambda: done == ["second"])
    background.close()


def test_in_an_outage_the_same_is_tried_again_and_the_rest_waits() -> None:
    asked, away = list[list[int]](), [True]

    def work(items: list[int]) -> None:
        if items:
            asked.append(list(items))
            if away:
                raise Unavailable("away")

    background = Background("log", work, places=3000)
    background.offer(0, 1000)
    until(lambda: bool(asked))
    for number in range(1, 5):
        background.offer(number, 1000)
    until(lambda: len(asked) > 1)
    assert asked[0] == asked[1] == [0]
    assert (background.waiting, background.dropped, background.available) == (3, 1, False)
    away.clear()
    background.close()
    assert background.waiting == 0
    assert [items for items in asked if items != [0]] == [[1], [2], [3]]


def test_what_is_lost_is_a_counter() -> None:
    metrics = Metrics("s", dict, lambda: {"prediction_log": SimpleNamespace(dropped=3)})  # type: ignore[dict-item]
    page = metrics.page()[0].decode()
    assert 'e2i_model_dropped_requests_total{log="prediction_log",service="s"} 3.0' in page
    assert "# TYPE e2i_model_dropped_requests_total counter" in page
