"""Synthetic tables whose true effects are known: a population for each partition, and five processes.

A new process is a name in `spec.Dgp` and its equations in `outcome.PROCESSES`; a new partition an entry in
`partitions.PROFILES`, and for a new brand one in `business.MARKET_SHARE`.
"""

from e2i_assets.ingest.synthetic.generate import SyntheticData, generate, people
from e2i_assets.ingest.synthetic.spec import PARTITIONS, GeneratorSpec, PartitionKey

__all__ = ["PARTITIONS", "GeneratorSpec", "PartitionKey", "SyntheticData", "generate", "people"]
