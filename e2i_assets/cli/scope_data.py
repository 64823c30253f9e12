"""What `e2i scope` looks at: published splits, and the outcomes that a new scope can be about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from e2i_assets.assets.scoped import followup_days, outcomes_of
from e2i_assets.cli.audit_data import audit_scope
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.errors import E2IError
from e2i_assets.json_files import to_json
from e2i_assets.leakage import LeakageError
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.scopes.answerable import Answerability, Obstacle, assess
from e2i_assets.modeling.scopes.files import load_scopes, wrong_scopes
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.partitions import UnknownScope, cohort_config, cohort_configs
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings


class NotSplitYet(E2IError, ValueError):
    """A partition without published splits: there are no patients to look at."""

    code = "not_split_yet"


@dataclass(frozen=True)
class Checked:
    """Whether a partition can answer a scope."""

    partition: str
    evidence: Answerability

    def document(self, cells: Cells) -> dict[str, Any]:
        """Plain JSON types; where small cells are hidden, without what they could be reckoned from."""
        evidence, hidden = self.evidence, cells.minimum is not None
        counts = {name: cells.figure(getattr(evidence, name)) for name in ("patients", "known", "events")}
        exact: dict[str, Any] = {"rate": None, "remarks": []} if hidden else {}
        return {
            "partition": self.partition,
            "answerable": not evidence.obstacles,
            "per_feature": None if hidden else evidence.per_feature,
            **to_json(evidence),
            **counts,
            **exact,
        }


def check_scopes(
    here: Settings, store: ArtifactStore, scope: str | None, partitions: Sequence[str]
) -> list[Checked]:
    """Every scope asked for in every partition asked for.

    Args:
        scope: a scope, whether a cohort lists it yet or not; None for those that each partition lists.
        partitions: none for all that list the scope, or where none does, for all; of these, those that have
            no splits yet are passed over where others have.

    Raises:
        ConfigError, UnknownScope: the scope's file is wrong, or there is none.
        NotSplitYet: a partition has no published splits.
    """
    known = load_scopes(here.config_dir / "scopes")
    if scope is not None and scope not in known:
        if wrong := wrong_scopes(here.config_dir / "scopes").get(scope):
            raise ConfigError(wrong)
        raise UnknownScope(f"no scope {scope}; there are {', '.join(known)}", "Name one of them.")
    cohorts = cohort_configs(here.config_dir)
    listing = [key for key, cohort in cohorts.items() if scope is None or scope in cohort.scopes]
    wanted = list(partitions)
    if not wanted:
        candidates = listing or list(cohorts)
        wanted = [key for key in candidates if store.current("splits", key)] or candidates
    checked = []
    for partition in wanted:
        names = [scope] if scope else list(cohort_config(here.config_dir, partition).scopes)
        splits = _published(store, partition)
        checked += [Checked(partition, _assess(here, partition, splits, known[name])) for name in names]
    return checked


def _published(store: ArtifactStore, partition: str) -> Splits:
    current = store.current("splits", partition)
    if current is None:
        raise NotSplitYet(
            f"{partition}: no splits are published, so there are no patients to look at.",
            f"Run `e2i materialize -p {partition} -s '+key:\"splits\"'`, which trains nothing.",
        )
    return store.read("splits", partition, current.version, Splits)


def _assess(here: Settings, partition: str, splits: Splits, scope: Scope) -> Answerability:
    """The evidence, and where nothing else stands against an answer, the leakage audit of train."""
    cohort = cohort_config(here.config_dir, partition)
    evidence = assess(
        scope,
        splits.train,
        splits.validation,
        splits.features,
        followup_days=followup_days(cohort),
        outcomes=outcomes_of(here.config_dir, cohort) | {scope.target: scope.name},
        # By the lines below; what is no outcome of the cohort has no audit when it is materialized, either.
        audited=(scope.target,) if scope.target in splits.outcomes else (),
    )
    return evidence if evidence.obstacles else evidence.but_for(_leaks(splits, scope, partition, here))


def _leaks(splits: Splits, scope: Scope, partition: str, here: Settings) -> tuple[Obstacle, ...]:
    try:
        report = audit_scope(splits, scope, cohort_config(here.config_dir, partition))
    except LeakageError as error:
        return (Obstacle(error.code, f"the leakage audit cannot judge: {error}", error.next_step),)
    return tuple(
        Obstacle(
            "leakage",
            f"{finding.kind} leakage in {finding.column}: {finding.evidence}",
            "Take the column out of the features, or correct its role and availability in the cohort file.",
        )
        for finding in report.findings
    )


def known_outcomes(config_dir: Path, problem_type: str) -> list[str]:
    """Columns that a scope can be about, outcomes of the contract and of the cohort files: first those whose
    values suit the problem type, and among them those that no scope asks for.
    """
    cohorts = cohort_configs(config_dir).values()
    outcomes = {c.name: c.dtype == pl.Boolean for c in columns(PatientJourneys) if c.role == "outcome"}
    for cohort in cohorts:
        declared = {n: attribute for n, attribute in cohort.attributes.items() if attribute.role == "outcome"}
        outcomes |= {name: attribute.dtype == "boolean" for name, attribute in declared.items()}
    folder = config_dir / "scopes"
    some = len(wrong_scopes(folder)) < len(list(folder.glob("*.yaml")))
    asked = {scope.target for scope in load_scopes(folder).values()} if some else set()
    yes_or_no = problem_type in ("binary_classification", "causal_inference")
    return sorted(outcomes, key=lambda name: (outcomes[name] != yes_or_no, name in asked))


def contracted_treatment() -> str:
    """The column of the contract that says who was treated."""
    return next(column.name for column in columns(PatientJourneys) if column.role == "treatment")
