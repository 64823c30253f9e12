"""`e2i materialize`: what Dagit's button does, from a terminal or a script."""

from __future__ import annotations

from collections.abc import Sequence

from e2i_assets.cli.output import print_json, say
from e2i_assets.cli.session import dagster_instance, open_session
from e2i_assets.partitions import cohort_files


class UnknownPartition(ValueError):
    """A partition key that no cohort file has."""


def run_materialize(partitions: Sequence[str], select: str, *, force: bool, as_json: bool) -> int:
    """Run the partitions; 0 when all succeeded."""
    here, _ = open_session()
    known = list(cohort_files(here.config_dir))
    unknown = [key for key in partitions if key not in known]
    if unknown:
        raise UnknownPartition(f"no such partition: {', '.join(unknown)}; there are {', '.join(known)}")
    from e2i_assets.build import build_defs
    from e2i_assets.cli.runner import run_partitions

    with dagster_instance() as instance:
        runs = run_partitions(
            build_defs(), instance, here, partitions or known, select=select, force=force, show=not as_json
        )
    if as_json:
        print_json([run.to_dict() for run in runs])
    for run in runs if not as_json else []:
        say(
            f"{run.partition}: {len(run.computed)} computed, {len(run.reused)} unchanged, "
            f"{run.gates_passed} gates passed, {run.seconds:.1f} s"
        )
        for gate, message in run.failed_gates.items():
            say(f"  BLOCKED {gate}: {message}")
        if run.error:
            say(f"  FAILED {run.error}")
    return 0 if all(run.success for run in runs) else 1
