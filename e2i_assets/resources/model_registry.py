"""The model registry: versions are registered, moved and approved here; `deployment.rollback` rolls back.

The ledger in PostgreSQL is the truth. A move is decided on what was read, and written in one transaction
under the registry's lock; the primary key of the ledger refuses it when somebody else wrote in between.
MLflow is told afterwards, under the lock again. When it cannot be told the move stands, the answer says so,
and the next command on the model brings MLflow's aliases and tags to what the ledger says. A registration
alone needs MLflow first: it gives a version its number there.
"""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from e2i_assets.json_files import to_json
from e2i_assets.registry.errors import PromotionRefused, RegistryError
from e2i_assets.registry.ledger import Entry, Model, NewVersion, Version, version_number
from e2i_assets.registry.people import require_person, same_person
from e2i_assets.registry.promotion import (
    APPROVAL,
    Requirement,
    in_words,
    require_clock,
    requirements,
    shadow_requirements,
)
from e2i_assets.registry.rules import PromotionRules
from e2i_assets.registry.stages import (
    ARCHIVED,
    DEVELOPMENT,
    PRODUCTION,
    STAGING,
    require_move,
    require_stage,
)
from e2i_assets.resources.mlflow_registry import MlflowRegistry
from e2i_assets.resources.version_files import content_hash
from e2i_assets.storage.bundles import fetch
from e2i_assets.warehouse.queries.registry import (
    Registry,
    clock,
    model_of,
    models,
    registry,
    shadow_evidence_of,
)

if TYPE_CHECKING:  # the doors are handed in: see `stages.code_version`
    from e2i_assets.resources.tracking import ExperimentTracking
    from e2i_assets.settings import Settings
    from e2i_assets.warehouse.warehouse import Warehouse

BY_ITSELF = "e2i"
"""Actor of moves that nobody asked for."""


@dataclass(frozen=True)
class Plan:
    """A move as it was decided on.

    Attributes:
        model: as it was read.
        requirements: each rule of the stage, met or not.
    """

    model: Model
    version: Version
    from_stage: str
    to_stage: str
    requirements: tuple[Requirement, ...]
    at: dt.datetime

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """What does not hold."""
        return tuple(one for one in self.requirements if not one.met)

    def approved_by(self, person: str) -> Plan:
        """The same with the approval of a person."""
        given = (
            replace(one, met=True, found=person) if one.name == APPROVAL else one for one in self.requirements
        )
        return replace(self, requirements=tuple(given))


@dataclass(frozen=True)
class Moved:
    """A move that was made.

    Attributes:
        replaced: the version that left production for it.
        not_told: why MLflow does not know of it yet; None where it does.
    """

    version: Version
    entry: Entry
    replaced: Version | None = None
    not_told: str | None = None


class ModelRegistry:
    """The registry of one installation.

    Args:
        now: the clock; the database's when left out.
    """

    def __init__(
        self,
        here: Settings,
        warehouse: Warehouse,
        tracking: ExperimentTracking,
        *,
        now: dt.datetime | None = None,
    ) -> None:
        self._here = here
        self._warehouse = warehouse
        self._mlflow = MlflowRegistry(tracking.uri)
        self._now = now

    @property
    def rules(self) -> PromotionRules:
        """What `config/mlflow/mlflow.yaml` asks for."""
        return PromotionRules.of(self._here.config_dir)

    def model(self, name: str) -> Model:
        """A model with its versions and its ledger.

        Raises:
            RegistryError: nothing was registered under this name.
        """
        model = model_of(self._warehouse, name)
        if not model.versions:
            near = get_close_matches(name, [known.name for known in models(self._warehouse)], n=1)
            raise RegistryError(
                f"there is no model {name!r}",
                f"Did you mean {near[0]}? `e2i models list` shows every model." if near else "",
                code="no_such_model",
            )
        return model

    def register(self, new: NewVersion) -> Version:
        """The version of a bundle: the one that has its files, else a new one in development."""
        with registry(self._warehouse) as ledger:
            model = ledger.model(new.model_name)
            for version in model.versions:
                if version.files_hash == new.files_hash:
                    return version
            at = self._time(ledger)
            version = Version(
                **vars(new),
                version=max((known.version for known in model.versions), default=0) + 1,
                mlflow_version=self._mlflow.number_of(new),
                created_at=at,
            )
            ledger.add(version)
            ledger.append(
                Entry(
                    model.name, model.next_sequence, version.version, "registered", None, DEVELOPMENT,
                    BY_ITSELF, getpass.getuser(), at, run_id=new.run_id,
                )
            )  # fmt: skip
        return version

    def required(self, version: Version, stage: str) -> tuple[Requirement, ...]:
        """Each rule for a version's entering a stage, met or not."""
        model = self.model(version.model_name)
        return tuple(self._required(model, version, stage, self._time()))

    def enter_staging(self, version: Version, run_id: str) -> None:
        """Move a version whose rules hold to staging, once: one that moved since it was registered stays.

        In particular one that was rolled back waits for a person who promotes it again.
        """
        if self.model(version.model_name).entered(version.version).event == "registered":
            plan = self.plan(version.model_name, version.version, STAGING)
            _refuse_missing(plan)
            self.carry_out(plan, BY_ITSELF, run_id=run_id)

    def plan(self, model_name: str, version: int | str, stage: str) -> Plan:
        """What a move needs and what of it there is; nothing is written.

        Raises:
            RegistryError: there is no such model, version, stage or move.
        """
        require_stage(stage)
        model = self.model(model_name)
        chosen = model.version(version_number(version))
        now = model.stages()[chosen.version]
        require_move(chosen.title, now, stage)
        at = self._time()
        require_clock(model, at)
        return Plan(model, chosen, now, stage, tuple(self._required(model, chosen, stage, at)), at)

    def transition(
        self,
        model_name: str,
        version: int | str,
        stage: str,
        *,
        by: str | None = None,
        note: str | None = None,
        run_id: str | None = None,
    ) -> Moved:
        """Move a version to a stage.

        Where only the approval is missing, that is asked for.

        Args:
            by: who asks; the account of the operating system when left out.

        Raises:
            RegistryError: there is no such model, version, stage or move.
            PromotionRefused: rules do not hold, or the approval is missing.
            LostRace: somebody else was first.
        """
        actor = require_person(by or getpass.getuser())
        plan = self.plan(model_name, version, stage)
        if [one.name for one in plan.missing] == [APPROVAL]:
            self._ask(plan, actor, note)
        _refuse_missing(plan)
        return self.carry_out(plan, actor, note=note, run_id=run_id)

    def approve(self, model_name: str, version: int | str, *, by: str, note: str | None = None) -> Moved:
        """Approve that a version goes to production as somebody else asked; it goes there.

        Raises:
            RegistryError: as of `transition`, or nobody asked.
            PromotionRefused: the one who approves may be the one who asked, or rules do not hold any more.
            LostRace: somebody else was first.
        """
        approver = require_person(by)
        plan = self.plan(model_name, version, PRODUCTION)
        request = plan.model.open_request(plan.version.version)
        if request is None:
            raise RegistryError(
                f"nobody asked for {plan.version.title} to go to {PRODUCTION}",
                f"`e2i models promote {model_name} {plan.version.version} {PRODUCTION}` asks for it.",
                code="not_asked_for",
            )
        if same_person(approver, request.actor):
            raise PromotionRefused(
                f"{approver} may be {request.actor}, who asked for it",
                "Let somebody else approve; names that may be spellings of one are taken for one person.",
                code="same_person",
            )
        plan = plan.approved_by(approver)
        _refuse_missing(plan)
        return self.carry_out(plan, request.actor, approved_by=approver, note=note)

    def carry_out(
        self,
        plan: Plan,
        actor: str,
        *,
        approved_by: str | None = None,
        note: str | None = None,
        run_id: str | None = None,
    ) -> Moved:
        """Write a move that was decided on; a version in its place in production leaves for staging.

        Raises:
            LostRace: somebody else wrote to the ledger since the plan was made.
        """
        replaced = plan.model.champion() if plan.to_stage == PRODUCTION else None
        moves = [(plan.version, plan.from_stage, plan.to_stage, note)]
        if replaced is not None:
            moves.insert(0, (replaced, PRODUCTION, STAGING, f"replaced by version {plan.version.version}"))
        evidence = [to_json(one) for one in plan.requirements]
        entries = [
            Entry(
                plan.model.name, plan.model.next_sequence + i, version.version, "moved", before, after, actor,
                getpass.getuser(), plan.at, note=because, run_id=run_id,
                approved_by=approved_by if version is plan.version else None,
                evidence=evidence if version is plan.version else [],
            )
            for i, (version, before, after, because) in enumerate(moves)
        ]  # fmt: skip
        self._append(entries)
        return Moved(plan.version, entries[-1], replaced, self.tell_mlflow(plan.model.name))

    def archive_retired(self) -> list[Moved]:
        """Archive what left production as long ago as the file says, unless there is nothing else to answer;
        and tell MLflow of every model.

        Raises:
            RegistryError: the clock is behind the ledger of a model; what is to be archived of others is.
        """
        archived: list[Moved] = []
        refused: list[RegistryError] = []
        for model in models(self._warehouse):
            try:
                archived += self._archive_retired(model)
            except RegistryError as error:
                refused.append(error)
            self.tell_mlflow(model.name)
        if refused:
            raise refused[0]
        return archived

    def _archive_retired(self, model: Model) -> Iterator[Moved]:
        at, after = self._time(), dt.timedelta(days=self.rules.archived.after_days)
        require_clock(model, at)
        for version in (*model.in_stage(STAGING), *model.in_stage(DEVELOPMENT)):
            left = model.left_production(version.version)
            if left is not None and at - left >= after and (version, "active") not in model.served():
                current = self.model(model.name)
                plan = Plan(current, version, current.stages()[version.version], ARCHIVED, (), at)
                yield self.carry_out(plan, BY_ITSELF, note=f"left production at {left:%Y-%m-%d}")

    def set_aside(self, version: Version, note: str) -> None:
        """Archive a version that is no further than staging, whither its rules alone have brought it."""
        model = self.model(version.model_name)
        stage = model.stages()[version.version]
        if stage in (DEVELOPMENT, STAGING):
            self.carry_out(Plan(model, version, stage, ARCHIVED, (), self._time()), BY_ITSELF, note=note)

    def tell_mlflow(self, model_name: str) -> str | None:
        """Bring MLflow to what the ledger says; why it could not be, else None."""
        try:
            with registry(self._warehouse) as ledger:
                self._mlflow.follow(ledger.model(model_name))
        except Exception as error:  # noqa: BLE001 -- whatever MLflow raises, the ledger stands and the answer says so
            return f"{type(error).__name__}: MLflow's aliases are behind the ledger until the next command"
        return None

    def _required(self, model: Model, version: Version, stage: str, at: dt.datetime) -> Iterator[Requirement]:
        if stage == ARCHIVED:
            return
        rules = self.rules
        yield self._bundle(version)
        if model.stages()[version.version] == ARCHIVED:
            yield Requirement("not_archived", False, "a version in use", "archived")
        yield from requirements(rules, version, stage)
        if stage == PRODUCTION:
            entered = model.entered(version.version).at
            seen = shadow_evidence_of(self._warehouse, model.name, version.version, entered)
            yield from shadow_requirements(rules, entered, seen, at)
            yield Requirement(APPROVAL, False, "by somebody else than who asks", "none")

    def _bundle(self, version: Version) -> Requirement:
        folder = fetch(self._here, version.bento_tag, version.files_hash)
        return Requirement("bundle", *_state(folder, version.files_hash))

    def _ask(self, plan: Plan, actor: str, note: str | None) -> None:
        """Ask for approval, unless it has been asked for.

        Raises:
            PromotionRefused: always; the approval is missing.
        """
        name, number = plan.model.name, plan.version.version
        request = plan.model.open_request(number)
        if request is None:
            request = Entry(
                name, plan.model.next_sequence, number, "requested", plan.from_stage, plan.to_stage, actor,
                getpass.getuser(), plan.at, note=note, evidence=[to_json(one) for one in plan.requirements],
            )  # fmt: skip
            self._append([request])
        raise PromotionRefused(
            f"{plan.version.title} may go to {PRODUCTION} once somebody else than {request.actor}, who asked "
            "for it, approves",
            f"They say so with: e2i models approve {name} {number} --by NAME",
            code="approval_missing",
        )

    def _append(self, entries: list[Entry]) -> None:
        with registry(self._warehouse) as ledger:
            for entry in entries:
                ledger.append(entry)

    def _time(self, ledger: Registry | None = None) -> dt.datetime:
        return self._now or (ledger.now() if ledger else clock(self._warehouse))


def _state(folder: Path, files_hash: str) -> tuple[bool, str, str]:
    """Whether a bundle is as it was registered; what is wanted and found."""
    if not folder.is_dir():
        return False, "files as registered", f"{folder} is gone"
    same = content_hash(folder) == files_hash
    return same, "files as registered", "as registered" if same else f"{folder} was changed"


def _refuse_missing(plan: Plan) -> None:
    if plan.missing:
        raise PromotionRefused(
            f"{plan.version.title} may not go to {plan.to_stage}: {in_words(plan.missing)}",
            f"It stays in {plan.from_stage}; rules are in config/mlflow/mlflow.yaml.",
        )
