"""What a partition is of: a brand and an indication, spelled as in the data."""

from __future__ import annotations

from typing import NamedTuple


class PartitionKey(NamedTuple):
    """A brand in an indication."""

    brand: str
    indication: str

    @property
    def stem(self) -> str:
        """Partition key in Dagster and stem of the cohort file, for example `remibrutinib_csu`."""
        return f"{self.brand}_{self.indication}".lower()

    @property
    def touched(self) -> str:
        """How the records of a load spell it, for example `Remibrutinib/csu`."""
        return f"{self.brand}/{self.indication}"
