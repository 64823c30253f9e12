"""Work beside the work: nothing that is done here makes a request or a stage wait."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

TICK_S = 0.5
"""How long what is handed over waits for more of it."""
AT_A_TIME = 1000
"""Rows that are written together, or those of one request."""
LONGEST_PAUSE_S = 30.0
LAST_WORDS_S = 5.0
"""For what is still waiting when the process ends."""
logger = logging.getLogger("bentoml.e2i")
"""Of services: BentoML shows what is said under its own name."""


class Unavailable(Exception):
    """Where the work is to be written does not answer: to be tried again with the same work."""


class Background:
    """One thread, and a queue that ends: what finds no place in it is dropped, and counted.

    Attributes:
        dropped: how many requests or spans are lost.
        available: whether the last attempt succeeded.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Any]], None],
        places: int,
        *,
        what: str = "requests",
        logger: logging.Logger = logger,
    ) -> None:
        """Start the thread.

        Args:
            work: called every `TICK_S`, also with nothing; what it leaves in the list at `Unavailable`, it is
                given again.
            places: in the queue, one for each row of a request.
            what: is handed over.
            logger: is told what is lost.
        """
        self._what, self._logger = what, logger
        self.dropped, self.available = 0, True
        self._work, self._places = work, places
        self._queue, self._rows = deque[tuple[Any, int]](), 0
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests or spans are in the queue."""
        return len(self._queue)

    def offer(self, item: Any, rows: int = 1) -> None:
        """Hand over a request of so many rows, or whatever else is one; comes back at once."""
        with self._lock:
            if self._rows + rows <= self._places:
                self._queue.append((item, rows))
                self._rows += rows
                return
        self.drop(1)

    def drop(self, lost: int, why: str = "") -> None:
        """Count what is lost; `why` is told in the log, before the count is seen."""
        if lost and why:
            self._logger.warning("%s: %d %s lost: %s", self._thread.name, lost, self._what, why)
        with self._lock:
            self.dropped += lost

    def close(self) -> None:
        """Do what is waiting, as far as that is soon done."""
        self._ending.set()
        self._thread.join(LAST_WORDS_S)
        if lost := self.dropped + self.waiting:
            self._logger.warning("%s: %d %s were lost", self._thread.name, lost, self._what)

    def _run(self) -> None:
        items: list[Any] = []
        pause = TICK_S
        while True:
            ending = self._ending.wait(pause)
            items = items or self._taken()
            try:
                self._work(items)
            except Unavailable as error:
                self._note(False, str(error))
                if ending:
                    self.drop(len(items))
                    return
                pause = min(2 * max(pause, TICK_S), LONGEST_PAUSE_S)
                continue
            except Exception as error:  # noqa: BLE001 - or nothing were written ever after
                self.drop(len(items), type(error).__name__)
            else:
                self._note(True, "again")
            items, pause = [], 0.0 if self._queue else TICK_S
            if ending and not self._queue:
                return

    def _taken(self) -> list[Any]:
        """From the queue, as much as is written together."""
        items, rows = list[Any](), 0
        with self._lock:
            while self._queue and (not items or rows + self._queue[0][1] <= AT_A_TIME):
                item, size = self._queue.popleft()
                items.append(item)
                rows += size
            self._rows -= rows
        return items

    def _note(self, available: bool, text: str) -> None:
        """Say in the log that something has changed, once."""
        if available != self.available:
            self._logger.warning(
                "%s: %s: %s", self._thread.name, "written" if available else "not written", text
            )
        self.available = available
