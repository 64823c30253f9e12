"""`docs/twenty-four-days.md`: the days as a table, pictures from Dagit, and what the platform said of each day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence

from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.simulation.record import Event
from e2i_assets_tests.simulation.story import START

WHY = {
    1: "Both loads are due: a run of each, from the raw tables to a version in staging.",
    2: "The same delivery again asks for nothing. A person has the first version watched in shadow.",
    3: "A tenth of the events lies after the day of their record: refused, and the version before stays in force.",
    4: "The delivery as it should have been is due. Its run is killed, and launched again once.",
    5: "Each load is trained on. Production wants seven days in shadow, and says what is missing.",
    10: "The seven days are over; who asked cannot approve. What answers now is held against the patients of day 5, "
    "whom it has not seen: they are as those before.",
    11: "A supplier counts severity and engagement backwards: the version that answers has drifted, and is behind "
    "what it reached. By the rule it is to be trained again, which a person has to approve.",
    12: "Trained again, the same model comes out as of yesterday's load. On the same rows it is better than the one "
    "that answers, by more than chance explains; it goes nowhere by itself.",
    13: "Ten days without a record: judged again, which costs a part of the score, and told of once.",
    21: "Of the other partition, too, nothing has come for ten days. The version of day 11 replaces the first.",
    23: "Only the new supplier delivers. Against the mixture that the version was trained on that is drift, of which "
    "there is an alert of its own. No rule asks for a retraining: it does on these patients what it did on test.",
    24: "The first version left production three days ago, the days that this installation states.",
}
"""Day to why it was so."""
PAGE = ROOT / "docs" / "twenty-four-days.md"
PICTURES = ROOT / "docs" / "twenty-four-days"
Days = Sequence[tuple[int, Sequence[Event]]]

_HEAD = """# Twenty-four days

What the platform does by itself, and what it asks people for, told by 24 days of two partitions with one scope.
Loader, stages, gates, registry, sensors, Dagster's queue and its care for runs that died are those of every
installation; only the clock is set, the data are generated, deliveries are small, and the rules of promotion and
retraining are lowered in proportion (`e2i_assets_tests/simulation/installation.py`). A test lives
through the same days and holds this page against them: nothing else happened.

```bash
.venv/bin/python -m e2i_assets_tests.simulation --folder FOLDER --write    # the days again, and this page
.venv/bin/python -m e2i_assets_tests.simulation.pictures FOLDER    # and its pictures
```
"""
_WORDS = "## In its own words\n"
_CAPTIONS = {
    "runs": "The runs of one partition: refused on day 3, killed on day 4 and launched again, judged again on day 13.",
    "refused": "The run that was refused on day 3: which rule is broken, where, in how many rows, and what to do.",
    "drift": "The page of day 23 that the drift report links to: how the version does, drift over time, and columns.",
    "sensors": "Automation: what watches by itself.",
    "partitions": "The registered model of the other partition at the end.",
}
"""Picture to what it shows."""


def page(days: Days) -> str:
    """The whole page."""
    pictures = (
        f"![{caption}]({PICTURES.name}/{name}.png)\n\n*{caption}*\n" for name, caption in _CAPTIONS.items()
    )
    words = (
        f"- Day {day}, {_cell(one.text)}: {_cell(one.more)}"
        for day, events in days
        for one in events
        if one.more
    )
    parts = [_HEAD, "## Day by day\n", *_table(days), "\n## In Dagit\n", *pictures, _WORDS, *words]
    return "\n".join(parts).rstrip() + "\n"


def comparable(text: str) -> str:
    """A page without the figures that differ with libraries and machines."""
    table, _, rest = text.partition(_WORDS)
    return table + re.sub(r"[-+]?\d+(?:[.,]\d+)*", "0", rest)


def _table(days: Days) -> Iterator[str]:
    yield "| day | what happened | why |"
    yield "|---|---|---|"
    for day, events in days:
        date = START + dt.timedelta(days=day - 1)
        yield f"| {day}, {date:%a} | {'<br>'.join(_cell(one.text) for one in events) or 'nothing'} | {WHY.get(day, '')} |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")
