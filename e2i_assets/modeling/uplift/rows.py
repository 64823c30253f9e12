"""The rows that a causal question is asked of, as a scope and its features have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from e2i_assets.causal.cross_validation import CrossValidation, CrossValidator
from e2i_assets.causal.data import CausalData, prepare
from e2i_assets.causal.effect import estimate_effect
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.graph import CausalGraph
from e2i_assets.causal.nuisance import cross_fit
from e2i_assets.causal.refutation import RefutationReport, refute
from e2i_assets.causal.report import EffectReport
from e2i_assets.causal.scores import Expected
from e2i_assets.cohorts.cohort import clusters_of
from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.problems.causal_inference import CausalScope

if TYPE_CHECKING:
    import polars as pl

    from e2i_assets.cluster import Cluster

REPETITIONS = 10
"""Of each attempt to refute, fewer than from a notebook, since every run of a partition makes them. Four
intervals of ten without the truth refute."""


@dataclass(frozen=True, eq=False)
class Nuisance:
    """What was expected of each row by models that had not seen it.

    Attributes:
        expected: outcome in each arm, and propensity.
        folds: pairs of row numbers: fitted on, predicted.
        kind: of models that the outcome was told better by, `linear` or `boosted`.
    """

    expected: Expected
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    kind: str


@dataclass(frozen=True, eq=False)
class CausalRows:
    """Patients with their treatment, outcome and covariates.

    Attributes:
        frame: one row each, with a label of its own.
        clusters: name of each row's cluster, by the labels of the frame; none where each stands for itself.
        covariates: what is adjusted for, and what effects may differ by.
    """

    frame: pd.DataFrame
    scope: CausalScope
    covariates: tuple[Feature, ...]
    clusters: pd.Series | None = None

    @property
    def names(self) -> list[str]:
        """Columns of the covariates."""
        return [covariate.name for covariate in self.covariates]

    @property
    def t(self) -> np.ndarray:
        """Treatment, 0 or 1, shape (rows,)."""
        return self.frame[self.scope.treatment].to_numpy(dtype=float)

    @property
    def y(self) -> np.ndarray:
        """Outcome, shape (rows,)."""
        return self.frame[self.scope.target].to_numpy(dtype=float, na_value=np.nan)

    @property
    def with_outcome(self) -> CausalRows:
        """Those whose outcome is known."""
        known = self.frame[self.scope.target].notna()
        clusters = None if self.clusters is None else self.clusters[known].reset_index(drop=True)
        return CausalRows(self.frame[known].reset_index(drop=True), self.scope, self.covariates, clusters)

    @property
    def cluster_numbers(self) -> np.ndarray | None:
        """Number of each row's cluster, shape (rows,); none where each stands for itself."""
        return None if self.clusters is None else pd.factorize(self.clusters)[0]

    def clustered(self, members: pl.DataFrame) -> CausalRows:
        """With the clusters that the scope asks for, if it does.

        Args:
            members: the cohort; a patient of whom it has no cluster is one alone.

        Raises:
            TrainingDataError: it has no such column.
        """
        name = self.scope.clusters
        if not name:
            return self
        if name not in members.columns:
            raise TrainingDataError(
                f"clusters {name}: no column of the cohort's journeys",
                "Name one of patient_journeys, such as hcp_id, or take clusters out of the scope.",
            )
        clusters = clusters_of(self.frame["patient_journey_id"], members, name)
        return replace(self, clusters=clusters.astype(str))

    def effect(self, *, seed: int) -> EffectReport:
        """The average effect, or why these rows cannot tell it.

        Raises:
            CausalDataError: the treatment is not 0/1, or the table cannot be asked this.
        """
        scope = self.scope
        if not set(self.frame[scope.treatment].dropna().unique()) <= {0, 1}:
            raise CausalDataError(
                f"treatment {scope.treatment} of scope {scope.name} is not 0/1",
                "Name a treatment with two arms, 0 and 1 or yes and no; a dose, or one of several arms, is "
                "asked of `e2i_assets.causal.estimate_effect`.",
            )
        return estimate_effect(
            self._asked(), treatment=scope.treatment, outcome=scope.target, covariates=self.covariates,
            estimand=scope.estimand, graph=graph_of(scope), clusters=self._cluster_column, seed=seed,
        )  # fmt: skip

    def cross_validated(self, *, seed: int) -> CrossValidation:
        """The average effect of all by several libraries."""
        return CrossValidator().validate(
            self._asked(), treatment=self.scope.treatment, outcome=self.scope.target,
            covariates=self.covariates, graph=graph_of(self.scope), seed=seed,
        )  # fmt: skip

    def refuted(self, report: EffectReport, cluster: Cluster | None = None) -> RefutationReport:
        """What came of the attempts to refute an effect on these rows; see `refute` for `cluster`."""
        scope = self.scope
        return refute(
            self._asked(*scope.negative_outcomes, *scope.negative_exposures),
            report,
            negative_outcomes=scope.negative_outcomes,
            negative_exposures=scope.negative_exposures,
            repetitions=REPETITIONS,
            cluster=cluster,
        )

    def nuisance(self, *, seed: int) -> Nuisance:
        """Cross-fitted nuisances of rows whose outcome is known."""
        fitted = cross_fit(self._prepared(), repeats=1, seed=seed)
        number = fitted.folds[0]
        scores = next(fit.scores for fit in fitted.fits if fit.of == "outcome_control")
        return Nuisance(
            Expected(fitted.control[0], fitted.treated[0], fitted.propensity[0]),
            tuple((np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in np.unique(number)),
            "boosted" if scores["boosted"] > scores["linear"] else "linear",
        )

    def _prepared(self) -> CausalData:
        return prepare(
            self._asked(), treatment=self.scope.treatment, outcome=self.scope.target, covariates=self.names,
            clusters=self._cluster_column,
        )  # fmt: skip

    def _asked(self, *further: str) -> pd.DataFrame:
        names = [self.scope.treatment, self.scope.target, *self.names, *further]
        asked = self.frame[list(dict.fromkeys(names))]
        return asked if self.clusters is None else asked.assign(**{self.scope.clusters: self.clusters})

    @property
    def _cluster_column(self) -> str | None:
        return None if self.clusters is None else self.scope.clusters


def graph_of(scope: CausalScope) -> CausalGraph | None:
    """What the scope holds to cause what; None where it says nothing.

    Raises:
        CausalDataError: a line is no arrow, or the arrows go round in a circle.
    """
    return CausalGraph.parse(scope.graph) if scope.graph else None


def causal_rows(
    frames: Sequence[pd.DataFrame], features: Sequence[Feature], scope: CausalScope
) -> CausalRows:
    """The rows of these splits.

    Raises:
        TrainingDataError: a column is missing, or what must be known on the index date is no feature.
    """
    graph, left_out = graph_of(scope), (scope.treatment, *scope.features.exclude, *scope.negative_outcomes)
    covariates = tuple(
        feature
        for feature in features
        if feature.name not in left_out and (graph is None or feature.name in graph.nodes)
    )
    controls = *scope.negative_outcomes, *scope.negative_exposures
    named = (scope.treatment, scope.target, *controls, *scope.segments)
    wanted = [*named, *(covariate.name for covariate in covariates)]
    frame = pd.concat(frames, ignore_index=True)
    if absent := sorted(set(wanted) - set(frame.columns)):
        raise TrainingDataError(
            f"columns {', '.join(absent)} are missing from the splits",
            "Name treatment, target and segments in the scope as the splits have them: a treatment and a "
            "segment are features, a target is an outcome of the cohort.",
        )
    known = {feature.name for feature in features}
    early = (scope.treatment, *scope.negative_exposures, *scope.segments)
    if late := [name for name in early if name not in known]:
        raise TrainingDataError(
            f"{', '.join(late)}: not among the features, and so perhaps known only after the index date",
            "Name a treatment, segments and negative exposures that are features of the partition; `dropped` "
            "of the asset features says why a column is none.",
        )
    return CausalRows(frame, scope, covariates)


def development(splits: Splits, scope: CausalScope) -> CausalRows:
    """Train and validation together: nothing is tuned, so that nothing is held back but by cross-fitting."""
    return causal_rows([splits.train, splits.validation], splits.features, scope)
