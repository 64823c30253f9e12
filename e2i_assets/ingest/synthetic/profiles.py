"""What tells one partition from another: patients, clinical attributes, and what drives the outcome.

Clinical attributes are the fields that the partition's cohort criteria name and the table contract does not.
Shares of patients who meet no criterion are set so that 55 to 62 % of a partition are eligible, and are exact
counts, so that every criterion removes somebody even in a small set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.draws import Rng, exactly, labels
from e2i_assets.ingest.synthetic.spec import PartitionKey

Attributes = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Profile:
    """One partition's population.

    Attributes:
        specialties, diagnosis_codes: label to share; some codes lie outside the cohort's list.
        age: mean and standard deviation in years; `minors` is the share recorded as under 18.
        female: share of women.
        lookback_days, followup_days: the cohort's observation windows.
        drug_class, procedure: event subtypes; `lab` is name, mean and standard deviation of the partition's
            laboratory test, higher in severe disease.
        attributes: draws the clinical attributes from the population so far and its latent severity z.
        outcome: log-odds of initiation that the partition's own attributes add, intercept included.
        price: of a year of therapy, in USD net.
    """

    specialties: Mapping[str, float]
    diagnosis_codes: Mapping[str, float]
    age: tuple[float, float]
    minors: float
    female: float
    lookback_days: int
    followup_days: int
    drug_class: str
    procedure: str
    lab: tuple[str, float, float]
    attributes: Callable[[Rng, pl.DataFrame, np.ndarray], Attributes]
    outcome: pl.Expr
    price: float


def standard(name: str, centre: float, scale: float) -> pl.Expr:
    """`(column - centre) / scale`; booleans count as 0 and 1."""
    return (pl.col(name).cast(pl.Float64) - centre) / scale


def _linked(rng: Rng, z: np.ndarray, correlation: float = 0.55) -> np.ndarray:
    """Standard normal values with this correlation to the latent severity."""
    return correlation * z + np.sqrt(1 - correlation**2) * rng.standard_normal(len(z))


def _csu(rng: Rng, people: pl.DataFrame, z: np.ndarray) -> Attributes:
    n = len(z)
    fertile = ((people["gender"] == "F") & people["age_at_diagnosis"].is_between(18, 45)).to_numpy()
    return {
        "urticaria_severity_uas7": np.clip(np.round(25.5 + 7.5 * _linked(rng, z)), 0, 42).astype(np.int64),
        "prior_antihistamine_therapy": ~exactly(rng, n, 0.06),
        "active_autoimmune_condition": exactly(rng, n, 0.05),
        "concurrent_immunosuppressive": exactly(rng, n, 0.04),
        "pregnancy_status": exactly(rng, n, 0.03, where=fertile),
        "severe_hepatic_impairment": exactly(rng, n, 0.03),
    }


def _pnh(rng: Rng, people: pl.DataFrame, z: np.ndarray) -> Attributes:
    n = len(z)
    status = {"current": 0.52, "prior": 0.40, "naive": 0.08}
    return {
        "ldh_ratio": np.round(np.clip(2.9 * np.exp(0.42 * _linked(rng, z)), 0.6, 12), 2),
        "complement_inhibitor_status": labels(rng, n, status),
        "active_serious_infection": exactly(rng, n, 0.05),
        "meningococcal_vaccination_current": ~exactly(rng, n, 0.07),
        "bone_marrow_transplant_recent": exactly(rng, n, 0.03),
        "severe_renal_impairment": exactly(rng, n, 0.04),
    }


def _c3g(rng: Rng, people: pl.DataFrame, z: np.ndarray) -> Attributes:
    n = len(z)
    egfr = np.round(np.clip(72 - 23 * _linked(rng, z, 0.4), 5, 130), 1)
    return {
        "proteinuria_g_day": np.round(np.clip(2.3 * np.exp(0.55 * _linked(rng, z)), 0.1, 15), 2),
        "egfr": egfr,
        "active_serious_infection": exactly(rng, n, 0.05),
        "meningococcal_vaccination_current": ~exactly(rng, n, 0.07),
        # Independent of eGFR, which is the last value on file: dialysis often starts after it was taken.
        "dialysis_dependent": exactly(rng, n, 0.04) | (egfr < 10),
    }


def _breast_cancer(rng: Rng, people: pl.DataFrame, z: np.ndarray) -> Attributes:
    n = len(z)
    stage = {"metastatic": 0.36, "stage_iv": 0.20, "advanced": 0.20, "locally_advanced": 0.19, "early": 0.05}
    return {
        "hr_status": np.where(exactly(rng, n, 0.04), "negative", "positive"),
        "her2_status": np.where(exactly(rng, n, 0.05), "positive", "negative"),
        "disease_stage": labels(rng, n, stage),
        "ecog_performance_status": np.digitize(_linked(rng, z), [0.0, 1.65, 2.2, 2.6]),
        "prior_cdk46_inhibitor": exactly(rng, n, 0.04),
        "qtc_prolongation": exactly(rng, n, 0.03),
        "severe_hepatic_impairment": exactly(rng, n, 0.03),
        "active_cns_metastases": exactly(rng, n, 0.03),
        "concurrent_strong_cyp3a_inhibitor": exactly(rng, n, 0.03),
    }


PROFILES: dict[str, Profile] = {
    "remibrutinib_csu": Profile(
        specialties={"dermatology": 0.50, "allergy_immunology": 0.35, "rheumatology": 0.15},
        diagnosis_codes={"L50.1": 0.56, "L50.8": 0.21, "L50.9": 0.18, "L50.0": 0.03, "L50.3": 0.02},
        age=(44, 15), minors=0.04, female=0.68,
        lookback_days=180, followup_days=90,
        drug_class="btk_inhibitor", procedure="skin_biopsy", lab=("total_ige", 180, 70),
        attributes=_csu,
        outcome=0.9 * standard("urticaria_severity_uas7", 25.5, 7.5) - 0.6,
        price=40_000,
    ),
    "fabhalta_pnh": Profile(
        specialties={"hematology": 0.65, "internal_medicine": 0.35},
        diagnosis_codes={"D59.5": 0.94, "D59.3": 0.03, "D59.6": 0.03},
        age=(46, 16), minors=0.03, female=0.53,
        lookback_days=365, followup_days=180,
        drug_class="factor_b_inhibitor", procedure="bone_marrow_biopsy", lab=("indirect_bilirubin", 2.0, 0.7),
        attributes=_pnh,
        outcome=0.9 * standard("ldh_ratio", 3.2, 1.4)
        + 0.5 * (pl.col("complement_inhibitor_status") == "prior").cast(pl.Float64)
        - 1.1,
        price=350_000,
    ),
    "fabhalta_c3g": Profile(
        specialties={"nephrology": 0.80, "internal_medicine": 0.20},
        diagnosis_codes={"N05.6": 0.40, "N03.6": 0.35, "N04.6": 0.20, "N05.5": 0.03, "N03.5": 0.02},
        age=(38, 15), minors=0.06, female=0.49,
        lookback_days=365, followup_days=180,
        drug_class="factor_b_inhibitor", procedure="renal_biopsy", lab=("serum_creatinine", 1.6, 0.6),
        attributes=_c3g,
        outcome=0.9 * standard("proteinuria_g_day", 2.7, 1.5) - 0.3 * standard("egfr", 72, 23) - 1.2,
        price=350_000,
    ),
    "kisqali_hr_her2_bc": Profile(
        specialties={"oncology": 1.0},
        diagnosis_codes={
            "C50.0": 0.02, "C50.1": 0.07, "C50.2": 0.13, "C50.3": 0.08, "C50.4": 0.28, "C50.5": 0.09,
            "C50.6": 0.02, "C50.8": 0.10, "C50.9": 0.18, "D05.1": 0.03,
        },
        age=(58, 12), minors=0.02, female=0.99,
        lookback_days=365, followup_days=180,
        drug_class="cdk46_inhibitor", procedure="core_biopsy", lab=("ca_15_3", 60, 25),
        attributes=_breast_cancer,
        outcome=0.6 * standard("ecog_performance_status", 0.5, 0.6)
        + 0.8 * pl.col("disease_stage").is_in(["metastatic", "stage_iv"]).cast(pl.Float64)
        + 0.3 * standard("disease_severity", 5, 2)
        - 0.5,
        price=120_000,
    ),
}  # fmt: skip


def profile_of(partition: PartitionKey) -> Profile:
    """The profile of a partition; ValueError when it has none."""
    if partition.stem not in PROFILES:
        raise ValueError(
            f"no synthetic patients for partition {partition.stem!r}; known: {', '.join(PROFILES)} "
            "(add a profile to e2i_assets/ingest/synthetic/profiles.py)"
        )
    return PROFILES[partition.stem]
