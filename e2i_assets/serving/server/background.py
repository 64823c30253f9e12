"""Work beside the answering of requests: nothing that is done here makes a request wait."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

TICK_S = 0.5
"""How long what is handed over waits for more of it."""
AT_A_TIME = 1000
LONGEST_PAUSE_S = 30.0
LAST_WORDS_S = 5.0
"""For what is still waiting when the process ends."""
logger = logging.getLogger("bentoml.e2i")


class Unavailable(Exception):
    """Where the work is to be written does not answer: to be tried again with the same work."""


class Refused(Exception):
    """What was to be written is refused where it would go: it is lost, or the next would never be written."""


class Background:
    """One thread, and a queue that ends: what finds no place in it is dropped, and counted.

    Attributes:
        dropped: how many requests are lost.
        available: whether the last attempt succeeded.
    """

    def __init__(self, name: str, work: Callable[[list[Any]], None], places: int) -> None:
        """Start the thread.

        Args:
            work: called every `TICK_S`, also with nothing; what it leaves in the list at `Unavailable`, it is
                given again.
            places: in the queue.
        """
        self.dropped, self.available = 0, True
        self._work, self._queue = work, queue.Queue[Any](places)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests have a place in the queue."""
        return self._queue.qsize()

    def offer(self, item: Any) -> None:
        """Hand over; comes back at once."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Do what is waiting, as far as that is soon done."""
        self._ending.set()
        self._thread.join(LAST_WORDS_S)
        if lost := self.dropped + self.waiting:
            logger.warning("%s: %d requests were lost", self._thread.name, lost)

    def _run(self) -> None:
        items: list[Any] = []
        pause = TICK_S
        while True:
            ending = self._ending.wait(pause)
            while len(items) < AT_A_TIME and not self._queue.empty():
                items.append(self._queue.get_nowait())
            try:
                self._work(items)
            except Unavailable as error:
                self._note(False, str(error))
                if ending:
                    self.dropped += len(items)
                    return
                pause = min(2 * max(pause, TICK_S), LONGEST_PAUSE_S)
                continue
            except Refused as error:
                self.dropped += len(items)
                logger.warning("%s: %d requests lost: %s", self._thread.name, len(items), error)
            else:
                self._note(True, "again")
            full = len(items) == AT_A_TIME
            items, pause = [], 0.0 if full else TICK_S
            if ending and self._queue.empty():
                return

    def _note(self, available: bool, text: str) -> None:
        """Say in the log that something has changed, once."""
        if available != self.available:
            logger.warning("%s: %s: %s", self._thread.name, "written" if available else "not written", text)
        self.available = available
