"""`e2i materialize`: what Dagit's button does, from a terminal or a script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.session import open_session
from e2i_assets.partitions import UnknownPartition, cohort_files


def run_materialize(
    partitions: Sequence[str], select: str, *, force: bool, explain: bool, parallel: int, as_json: bool
) -> int:
    """Run the partitions, `parallel` of them at the same time, or explain what a run would do.

    Returns:
        0 when all succeeded.

    Raises:
        UnknownPartition: no cohort file has one of these keys.
        NothingSelected: the selection is none, or selects no asset.
    """
    here, _ = open_session()
    known = list(cohort_files(here.config_dir))
    if unknown := [key for key in partitions if key not in known]:
        raise UnknownPartition(f"no such partition: {', '.join(unknown)}; there are {', '.join(known)}")
    from e2i_assets.build import build_defs

    if explain:
        from e2i_assets.cli.explain import run_explain

        return run_explain(build_defs(), here, partitions or known, select, force=force, as_json=as_json)
    from e2i_assets.cli.results import end
    from e2i_assets.cli.runner import run_partitions, selected_assets

    chosen, show = partitions or known, not as_json
    with dagster_instance() as instance:
        if parallel > 1 and len(chosen) > 1:
            from e2i_assets.cli.parallel import command_of, run_in_parallel

            selected_assets(build_defs(), select)  # said once, not by every process
            command = partial(command_of, select=select, force=force)
            runs = run_in_parallel(chosen, command, parallel, instance, show=show)
        else:
            runs = run_partitions(build_defs(), instance, here, chosen, select=select, force=force, show=show)
    return end(runs, here, as_json=as_json)
