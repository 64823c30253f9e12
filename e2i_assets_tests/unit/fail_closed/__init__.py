"""What every gate must be shown to refuse. One module per stage fills `CASES`: gate name to hazard to case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

HAZARDS = (
    "missing column",
    "missing library",
    "exception inside",
    "empty input",
    "all-null column",
    "one row",
    "wrong time zone",
    "nothing evaluated",
)


class Case(NamedTuple):
    """One hazard of one gate.

    Attributes:
        make: makes the gate's subject the way its stage does, or raises one of the stage's refusals.
        reason: of the verdict that must block.
        without: a library that cannot be imported meanwhile.
    """

    make: Callable[[], Any]
    reason: str
    without: str = ""


Cases = Mapping[str, Mapping[str, Case]]


class Broken:
    """A subject that raises at the first touch; its message quotes a patient."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("patient 17")

    def __len__(self) -> int:
        raise RuntimeError("patient 17")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("patient 17")


EXCEPTION = Case(Broken, "gate_error")


@contextmanager
def hidden(library: str) -> Iterator[None]:
    """Let imports of a library and of its modules fail; what is imported meanwhile stays imported."""
    known = {name: sys.modules.get(name) for name in sys.modules if f"{name}.".startswith(f"{library}.")}
    blocked = {**known, library: sys.modules.get(library)} if library else {}
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in blocked.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
