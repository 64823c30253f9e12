"""What to generate: process, seed, size and partitions, and the random streams that follow from the seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, get_args

import numpy as np

from e2i_assets.contracts.partition_key import PartitionKey

Dgp = Literal["simple_linear", "confounded", "heterogeneous", "time_series", "selection_bias"]
Scale = Literal["full", "small"]

AS_OF = date(2026, 1, 3)
"""Day on which the data end where nobody says otherwise: the same for ever, as the seed is."""
RECORDED = timedelta(days=3)
"""What happened on a day is on record 48 hours after its end."""
OBSERVED, CLOSED = timedelta(days=1095), timedelta(days=184)
"""Days from the first diagnosis, and from the last, to the last observation; every window can close."""


PARTITIONS = (
    PartitionKey("Remibrutinib", "csu"),
    PartitionKey("Fabhalta", "pnh"),
    PartitionKey("Fabhalta", "c3g"),
    PartitionKey("Kisqali", "hr_her2_bc"),
)


@dataclass(frozen=True)
class Sizes:
    """Patients of a partition, and months or quarters of what is aggregated; the other rows follow."""

    patients: int
    months: int
    quarters: int

    @property
    def hcps(self) -> int:
        """HCPs of a partition."""
        return self.patients // 5

    @property
    def predictions(self) -> int:
        """Predictions of a partition."""
        return self.patients * 4 // 5

    @property
    def triggers(self) -> int:
        """Triggers of a partition."""
        return self.patients * 12 // 25


SIZES: dict[str, Sizes] = {
    "full": Sizes(patients=6250, months=30, quarters=10),
    "small": Sizes(patients=625, months=3, quarters=1),
}
FEWEST = 100
"""Patients of a partition with whom every region has academic and other HCPs."""


@dataclass(frozen=True)
class Calendar:
    """First and last day of a diagnosis, last day of observation, and the day on which all is on record."""

    first_diagnosis: date
    last_diagnosis: date
    cut_off: date
    as_of: date

    @property
    def first_month(self) -> date:
        """First day of the month of the first diagnosis."""
        return self.first_diagnosis.replace(day=1)


@dataclass(frozen=True)
class GeneratorSpec:
    """What to generate; equal specs give byte-identical tables.

    Attributes:
        dgp: name of the data-generating process.
        seed: root of every random stream, 0 or more.
        scale: `full` (25,000 patients over the four partitions) or `small` (one tenth).
        patients: another number of patients over all partitions, each the same; HCPs, events and activity
            grow with them, brand-level tables do not.
        dirty: share of rows that are given a fault (see `dirt`), 0 to 0.5.
        partitions: which partitions; each has the same number of patients.
        as_of: day on which the data end: nothing happens, is recorded or arrives after it.

    Raises:
        ValueError: an unknown process or scale, a negative seed, no partition or one named twice, too few
            patients, more dirt than data.
    """

    dgp: Dgp = "confounded"
    seed: int = 42
    scale: Scale = "full"
    patients: int | None = None
    dirty: float = 0.0
    partitions: tuple[PartitionKey, ...] = PARTITIONS
    as_of: date = AS_OF

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("dgp", self.dgp, get_args(Dgp)),
            ("scale", self.scale, get_args(Scale)),
        ):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}; choose one of: {', '.join(choices)}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        if not 0 <= self.dirty <= 0.5:
            raise ValueError(f"dirty must be a share from 0 to 0.5, not {self.dirty}")
        keys = [partition.stem for partition in self.partitions]
        if not keys or len(set(keys)) < len(keys):
            raise ValueError(f"partitions must be at least one, each named once; got {keys}")
        if self.sizes.patients < FEWEST:
            raise ValueError(f"patients must be {FEWEST * len(keys)} or more, not {self.patients}")

    @property
    def sizes(self) -> Sizes:
        """Row numbers of the scale, or of so many patients."""
        scale = SIZES[self.scale]
        if self.patients is None:
            return scale
        return replace(scale, patients=self.patients // len(self.partitions))

    @property
    def calendar(self) -> Calendar:
        """The days between which everything happens."""
        cut_off = self.as_of - RECORDED
        return Calendar(cut_off - OBSERVED, cut_off - CLOSED, cut_off, self.as_of)

    def rng(self, *name: str) -> np.random.Generator:
        """The random stream of one purpose.

        Streams are children of the seed, told apart by name and not by order: a further table or partition
        leaves the others as they were.
        """
        child = zlib.crc32("/".join(name).encode())
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(child,)))
