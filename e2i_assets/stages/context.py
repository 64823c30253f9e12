"""What a stage may use: its partition, its configuration, and the doors to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from e2i_assets.cluster import Cluster, connected
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.partitions import cohort_config
from e2i_assets.quality.config import QualityConfig

if TYPE_CHECKING:  # the doors are handed in: see `code_version`
    import dagster as dg

    from e2i_assets.observability.trace import OpenSpan, Trace
    from e2i_assets.resources.store import ArtifactStore, Published
    from e2i_assets.resources.tracking import ExperimentTracking
    from e2i_assets.resources.vault import SplitVault
    from e2i_assets.settings import Settings
    from e2i_assets.warehouse.turns import Turn
    from e2i_assets.warehouse.warehouse import Warehouse

A = TypeVar("A")


def quality_of(settings: Settings, partition: str) -> QualityConfig:
    """Settings of quality control for one partition: every partition's, as its cohort file changes them."""
    everywhere = QualityConfig.from_yaml(settings.config_dir / "quality.yaml")
    cohort = cohort_config(settings.config_dir, partition)
    return everywhere.under(cohort.refresh, cohort.quality)


class StageContext:
    """One stage of one partition in one run; `inputs` are the published versions that it was given.

    `config` is the configuration that decides the result, `code` the code version and `module` whose it is;
    `fingerprint` is the hash of code, configuration and input versions: of all that the result is made from.
    `span` is that of its making, while it is made.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        inputs: Mapping[str, Published],
        config: Any = None,
        code: str = "",
        fingerprint: str = "",
        module: str = "",
    ) -> None:
        self.dagster = context
        self.log = context.log
        self.inputs = inputs
        self.config = config
        self.code = code
        self.fingerprint = fingerprint
        self.module = module
        self.partition: str = context.partition_key
        self.run_id: str = context.run_id
        self.settings: Settings = context.resources.settings
        self.warehouse: Warehouse = context.resources.warehouse
        self.store: ArtifactStore = context.resources.store
        self.vault: SplitVault = context.resources.vault
        self.tracking: ExperimentTracking = context.resources.tracking
        self.turn: Turn | None = context.resources.turn
        self.trace: Trace = context.resources.trace
        self.span: OpenSpan

    @cached_property
    def cohort_config(self) -> CohortConfig:
        """The cohort file of this partition."""
        return cohort_config(self.settings.config_dir, self.partition)

    @cached_property
    def quality(self) -> QualityConfig:
        """Weights, thresholds and suites of quality control, as the cohort file changes them."""
        return quality_of(self.settings, self.partition)

    def cluster(self) -> AbstractContextManager[Cluster | None]:
        """The Dask cluster of this installation, connected; None where it has none.

        Raises:
            ClusterUnavailable: it does not answer.
        """
        address = self.settings.dask_address
        return connected(address) if address else nullcontext()

    @property
    def cells(self) -> Cells:
        """How counts of patients are told."""
        hide = self.settings.small_cells == "hide"
        return Cells(self.quality.minimum_cell_count if hide else None)

    @property
    def not_collected(self) -> dict[str, list[str]]:
        """Columns by table that the sources do not have, as their mappings and the cohort file say."""
        config = self.cohort_config
        by_loads = self.warehouse.not_collected(config.partition_key)
        return {
            table: sorted(config.absent(table) | by_loads.get(table, frozenset())) for table in RAW_TABLES
        }

    def read_raw(self, table: str, versions: Mapping[str, str], kind: type[A]) -> A:
        """A raw table in the version that a certificate names."""
        return self.store.read(f"raw/{table}", self.partition, versions[table], kind)

    def config_files(self, folder: str) -> dict[str, str]:
        """Text of every file of a configuration folder, by name: for fingerprints."""
        return {
            p.name: p.read_text()
            for p in sorted((self.settings.config_dir / folder).iterdir())
            if p.is_file()
        }

    def open(self, published: Published, kind: type[A]) -> A:
        """Load a published version as its artifact class."""
        return self.store.read(published.asset, published.partition, published.version, kind)
