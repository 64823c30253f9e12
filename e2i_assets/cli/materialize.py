"""`e2i materialize`: what Dagit's button does, from a terminal or a script."""

from __future__ import annotations

from collections.abc import Sequence

from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.session import open_session
from e2i_assets.partitions import UnknownPartition, cohort_files


def run_materialize(
    partitions: Sequence[str], select: str, *, force: bool, explain: bool, as_json: bool
) -> int:
    """Run the partitions, or explain what a run would do; 0 when all succeeded.

    Raises:
        UnknownPartition: no cohort file has one of these keys.
        NothingSelected: the selection is none, or selects no asset.
    """
    here, warehouse = open_session()
    known = list(cohort_files(here.config_dir))
    if unknown := [key for key in partitions if key not in known]:
        raise UnknownPartition(f"no such partition: {', '.join(unknown)}; there are {', '.join(known)}")
    from e2i_assets.build import build_defs

    if explain:
        from e2i_assets.cli.explain import run_explain

        return run_explain(build_defs(), here, partitions or known, select, force=force, as_json=as_json)
    from e2i_assets.cli.results import end
    from e2i_assets.cli.runner import run_partitions

    with dagster_instance() as instance:
        runs = run_partitions(
            build_defs(), instance, here, partitions or known, select=select, force=force, show=not as_json
        )
    return end(runs, here, warehouse, as_json=as_json)
