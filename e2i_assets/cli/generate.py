"""Generate synthetic data, load them, and keep what only their generator knows."""

from __future__ import annotations

from dataclasses import dataclass

from e2i_assets.cli.loading import load_with_progress
from e2i_assets.contracts.levels import GENERATED
from e2i_assets.ingest.load import Load
from e2i_assets.ingest.synthetic import GeneratorSpec, SyntheticData, generate
from e2i_assets.ingest.synthetic.declared import DECLARED, Declared
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.store import ArtifactRefused, Published
from e2i_assets.settings import Settings
from e2i_assets.warehouse.loader import LoadReport
from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Generated:
    """What a call made: the load's report, what is declared, and where that is kept (None in a dry run)."""

    report: LoadReport
    declared: Declared
    kept: str | None


def generate_and_load(
    here: Settings,
    warehouse: Warehouse,
    spec: GeneratorSpec,
    *,
    dry_run: bool = False,
    show: bool = True,
) -> Generated:
    """Generate what `spec` says and load it in place of earlier synthetic data.

    Raises:
        LoadError: see `run_load`.
        ArtifactRefused: the truth cannot be kept; nothing was loaded.
    """
    made = _generated(spec, show=show)
    known = Declared(made.truth, made.oracle, made.dirt)
    # The same key is another patient in another process or with another seed.
    load = Load(
        made.tables, source=f"{GENERATED}:{spec.dgp}", replaces=GENERATED, keeps_rejected=False,
        truth=made.truth,
    )  # fmt: skip
    store = open_store(here)
    if dry_run:
        store.rehearse()
        report = load_with_progress(here, warehouse, load, dry_run=True, show=show)
        return Generated(report, known, None)
    # Written before anything is loaded: a store that refuses leaves the warehouse as it was.
    version = store.write(DECLARED, GENERATED, known)
    report = load_with_progress(here, warehouse, load, dry_run=False, show=show)
    store.publish(Published(DECLARED, GENERATED, version, fingerprint=version))
    return Generated(report, known, store.locate(DECLARED, GENERATED, version))


def _generated(spec: GeneratorSpec, *, show: bool) -> SyntheticData:
    """Generate with a bar that counts partitions."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not show) as progress:
        task = progress.add_task("generating", total=len(spec.partitions))
        return generate(spec, lambda: progress.advance(task))


def declared(here: Settings) -> Declared | None:
    """What the generator knows of the data; None when they are not synthetic.

    Raises:
        ArtifactRefused: what is kept of it is damaged.
    """
    store = open_store(here)
    current = store.current(DECLARED, GENERATED)
    if current is None:
        return None
    if damage := store.damage(DECLARED, GENERATED, current.version):
        raise ArtifactRefused(
            f"{damage}.", "Run `e2i data generate` again with the same options: it keeps the truth anew."
        )
    return store.read(DECLARED, GENERATED, current.version, Declared)
