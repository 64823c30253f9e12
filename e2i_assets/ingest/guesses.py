"""Guess from a sample how a source is written, and which of its columns tells patients apart."""

from __future__ import annotations

import re

import polars as pl

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.attributes import AS_IT_IS
from e2i_assets.ingest.casting import cast
from e2i_assets.ingest.csv_files import AS_WRITTEN
from e2i_assets.ingest.frames import CUSTOMARY
from e2i_assets.ingest.mapping import Reading

FITS = 0.95
"""Share of a sample's cells that must be values of the column that they are suggested for."""
DATE_FORMATS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%d-%b-%Y")
IDENTIFIES = re.compile(r"(?i)(id|nr|no|num|number|nummer|key|code)$")
"""How the name of a column ends that numbers the rows' patients."""


def as_written(sample: pl.DataFrame, name: str) -> pl.Series:
    """A column as it is written, where the source is text."""
    return sample.get_column(AS_WRITTEN + name if AS_WRITTEN + name in sample.columns else name)


def identifies(sample: pl.DataFrame, names: list[str]) -> dict[str, str]:
    """The patient's identifier, where one column alone is named as one and has another value in each row."""
    identifiers = [
        n
        for n in names
        if IDENTIFIES.search(n.strip())
        and (as_written(sample, n).dtype == pl.String or as_written(sample, n).dtype.is_integer())
        and sample.height > 1
        and not as_written(sample, n).null_count()
        and as_written(sample, n).n_unique() == sample.height
    ]
    return {"patient_id": identifiers[0]} if len(identifiers) == 1 else {}


def guessed(table: str, matched: dict[str, str], sample: pl.DataFrame, reading: Reading) -> Reading:
    """The empty cells, the decimal mark and the day format that the sample has, where only one fits."""
    wanted = {c.name: c.dtype for c in columns(TABLES[table])}
    written = [sample.get_column(n) for n in sample.columns if n.startswith(AS_WRITTEN)]
    empty = [word for word in CUSTOMARY.nulls if any((cells == word).any() for cells in written)]
    if empty:
        reading = reading.model_copy(update={"nulls": tuple(empty)})

    def fits(dtype: type[pl.DataType], how: Reading) -> bool:
        cells = [_without(as_written(sample, n), how) for ours, n in matched.items() if wanted[ours] == dtype]
        return bool(cells) and all(_share(c, dtype(), how) >= FITS for c in cells)

    comma = reading.model_copy(update={"decimal": ","})
    points, commas = fits(pl.Float64, reading), fits(pl.Float64, comma)
    if (commas and not points) or (commas >= points and _comma(sample, reading, comma)):
        reading = comma
    if not fits(pl.Date, reading):
        tried = [reading.model_copy(update={"date_format": f}) for f in DATE_FORMATS]
        fitting = [how for how in tried if fits(pl.Date, how)]
        if len(fitting) == 1:
            return fitting[0]
    return reading


def _without(cells: pl.Series, reading: Reading) -> pl.Series:
    if cells.dtype != pl.String or not reading.nulls:
        return cells
    return pl.select(pl.when(~cells.is_in(list(reading.nulls))).then(cells)).to_series().alias(cells.name)


def _share(cells: pl.Series, dtype: pl.DataType, reading: Reading) -> float:
    """Share of the cells that are values of the type; 1 where there are none."""
    filled = len(cells) - cells.null_count()
    return 1 - int(cast(cells, dtype, AS_IT_IS, reading).bad.sum()) / filled if filled else 1.0


def _comma(sample: pl.DataFrame, reading: Reading, comma: Reading) -> bool:
    """Whether columns hold numbers with a decimal comma, and none a point or what may be thousands."""
    text = [_without(as_written(sample, n), reading) for n in sample.columns if not n.startswith(AS_WRITTEN)]
    text = [c for c in text if c.dtype == pl.String and c.null_count() < len(c)]
    if any(c.str.contains(r"^-?\d+\.\d+$").any() for c in text):
        return False
    numbers = [
        c for c in text
        if _share(c, pl.Float64(), comma) >= FITS > _share(c, pl.Float64(), reading)
    ]  # fmt: skip
    return bool(numbers) and all(c.str.contains(r",(\d{1,2}|\d{4,})$").any() for c in numbers)
