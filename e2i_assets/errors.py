"""The base of every error of ours: its kind for a program, its words and its next step for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class E2IError(Exception):
    """Something that a person can mend; whatever else goes wrong is a crash, and is shown with its stack.

    It survives pickling and copying with all that it carries, so that it comes back from another process.

    Attributes:
        code: the kind, for programs: it stays the same from release to release.
        next_step: what to do about it.
        exit_code: what a command ends with.
        on_data: whether it says something of the data or the configuration, for a gate to answer with;
            where a server, a disk or the store does not serve, nothing has been judged.
    """

    code: str = "error"
    next_step: str = "Mend what the message names, and run the same again."
    exit_code: ClassVar[int] = 2
    on_data: ClassVar[bool] = True

    def __init__(self, message: str, next_step: str = "", *, code: str = "") -> None:
        super().__init__(message)
        if code:
            self.code = code
        if next_step:
            self.next_step = next_step
        self.add_note(self.next_step)  # stacks, such as those that Dagster shows, end with it

    @property
    def summary(self) -> str:
        """What went wrong and what to do about it; on a line of its own where the first takes several."""
        message = str(self).rstrip()
        if "\n" in message:
            return f"{message}\n{self.next_step}"
        return f"{message.removesuffix('.')}. {self.next_step}"

    def document(self) -> dict[str, str]:
        """What a script is told of it, as plain JSON types."""
        return {"code": self.code, "message": str(self), "next_step": self.next_step}

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own calls the constructor with the message, whatever the constructor takes.
        return _restored, (type(self), self.args, dict(self.__dict__))


class CodedError(E2IError):
    """An error whose kinds each have a code and a next step; whoever raises it states the code."""

    next_steps: ClassVar[Mapping[str, str]]

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, self.next_steps[code], code=code)


def _restored(kind: type[E2IError], args: tuple[Any, ...], state: Mapping[str, Any]) -> E2IError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
