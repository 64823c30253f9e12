"""Health care professionals of a partition: where they practise, how much, and how they meet the brand."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl

from e2i_assets.contracts.levels import GENERATED, REGIONS
from e2i_assets.contracts.patients import HcpProfiles
from e2i_assets.ingest.synthetic.draws import Rng, blank, conform, exactly, labels, proportioned
from e2i_assets.ingest.synthetic.profiles import Profile

PRACTICES = {"academic": (0.30, 300, 100), "community": (0.45, 200, 75), "private": (0.25, 150, 50)}
"""Practice type: share, mean and standard deviation of yearly patient volume."""
REGION_SHARES = dict(zip(REGIONS, (0.22, 0.38, 0.21, 0.19), strict=True))

MISSING = {
    "specialty": 0.005, "total_patient_volume": 0.02, "years_experience": 0.01,
    "decile": 0.01, "digital_engagement_score": 0.01, "coverage_status": 0.02,
}  # fmt: skip


def draw_hcps(rng: Rng, profile: Profile, n: int) -> pl.DataFrame:
    """Complete profiles of n HCPs without identifiers; every region has academic and other practices."""
    cells = list(product(REGIONS, PRACTICES))
    cell = proportioned(rng, n, [REGION_SHARES[region] * PRACTICES[kind][0] for region, kind in cells])
    practice = np.array([kind for _, kind in cells])[cell]
    volume = np.array([PRACTICES[kind][1] for _, kind in cells])[cell]
    spread = np.array([PRACTICES[kind][2] for _, kind in cells])[cell]
    size = rng.standard_normal(n)
    # Prescribing follows volume, not wholly: the decile ranks a noisy version of it.
    prescribing = np.argsort(np.argsort(0.6 * size + 0.8 * rng.standard_normal(n)))
    decile = 1 + prescribing * 10 // n
    return pl.DataFrame(
        {
            "specialty": labels(rng, n, profile.specialties),
            "practice_type": practice,
            "geographic_region": np.array([region for region, _ in cells])[cell],
            "years_experience": np.clip(np.round(rng.normal(18, 9, n)), 1, 45).astype(np.int64),
            "total_patient_volume": np.clip(np.round(volume + spread * size), 50, 600).astype(np.int64),
            "decile": decile,
            "digital_engagement_score": np.round(rng.beta(3, 3, n), 3),
            "coverage_status": ~exactly(rng, n, 0.12, where=decile <= 6),
        }
    )


def npis(rng: Rng, n: int) -> pl.Series:
    """n different ten-digit National Provider Identifiers, which in no data set an HCP of another number has:
    the last seven digits are the HCP's number.
    """
    drawn = rng.choice(1_000_000_000, n, replace=False)
    return pl.Series("npi", 1_000_000_000 + drawn - drawn % 10_000_000 + np.arange(1, n + 1)).cast(pl.String)


def hcp_profiles(rng: Rng, hcps: pl.DataFrame) -> pl.DataFrame:
    """The table: HCPs of all partitions (`hcp_id` and the drawn columns), some values missing."""
    named = hcps.with_columns(npis(rng, hcps.height), data_source=pl.lit(GENERATED))
    return conform(blank(rng, named, MISSING), HcpProfiles)
