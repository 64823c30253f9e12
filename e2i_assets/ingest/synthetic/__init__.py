"""Synthetic tables whose true effects are known: a population for each programme, and five processes.

A new process is a name in `spec.Dgp` and its equations in `outcome.PROCESSES`; a new programme an entry in
`programmes.PROFILES`, and for a new brand one in `business.MARKET_SHARE`.
"""

from e2i_assets.ingest.synthetic.generate import SyntheticData, generate, people
from e2i_assets.ingest.synthetic.spec import PROGRAMMES, GeneratorSpec, Programme

__all__ = ["PROGRAMMES", "GeneratorSpec", "Programme", "SyntheticData", "generate", "people"]
