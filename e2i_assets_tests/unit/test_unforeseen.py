"""What a library says of the data it failed on leaves no stage."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pandas as pd
import pytest

from e2i_assets.errors import E2IError
from e2i_assets.stages.unforeseen import Unforeseen, without_data

SECRET = "75135110"


def convert() -> None:
    pd.Series([SECRET, SECRET]).mean()


def wrap() -> None:
    try:
        convert()
    except TypeError as error:
        raise E2IError("the column cost cannot be read.") from error


def wrap_while_handling() -> None:
    try:
        convert()
    except TypeError:
        raise OSError(28, "No space left on device")  # noqa: B904 -- as some libraries do


@pytest.mark.parametrize(
    ("fails", "message_text"),
    [
        (convert, "Unforeseen: TypeError at nanops.py:"),
        (wrap, "the column cost cannot be read"),
        (wrap_while_handling, "No space left on device"),
    ],
)
def test_no_value_reaches_the_event_log(
    fails: Callable[[], None], message_text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def made() -> None:
        with without_data():
            fails()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([made], instance=instance, raise_on_error=False)
        (failure,) = result.get_step_failure_events()
        logged = str(instance.all_logs(result.run_id))
    message = str(failure.step_failure_data.error)
    assert message_text in message
    assert "test_unforeseen.py" in message
    assert SECRET not in message + logged + "".join(capfd.readouterr())


def test_the_next_step_is_told_and_success_passes() -> None:
    with without_data():
        pass
    with pytest.raises(Unforeseen) as refused, without_data():
        convert()
    assert "the stack names the lines" in refused.value.summary
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
