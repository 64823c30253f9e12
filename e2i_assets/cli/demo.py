"""`e2i demo`: every partition from raw tables to a model that answers, and how good each became."""

from __future__ import annotations

import getpass
from datetime import date

from e2i_assets.build import build_defs
from e2i_assets.cli.background import example_request, serve_in_background
from e2i_assets.cli.generate import generate_and_load
from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.output import say
from e2i_assets.cli.results import end
from e2i_assets.cli.runner import run_partitions
from e2i_assets.cli.session import open_session
from e2i_assets.deployment.wishes import await_release, deploy, registered
from e2i_assets.ingest.synthetic import GeneratorSpec
from e2i_assets.partitions import cohort_configs, cohort_files
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse


def run_demo(*, full: bool, seed: int, as_of: date | None, as_json: bool) -> int:
    """0 when every gate of every partition passed."""
    here, warehouse = open_session()
    spec = GeneratorSpec(seed=seed, scale="full" if full else "small", as_of=as_of or here.today)
    _ensure_data(here, warehouse, spec, as_json=as_json)
    known = cohort_configs(here.config_dir)
    # Those whose files are wrong are listed, so that the end says what is wrong.
    partitions = [
        key
        for key in cohort_files(here.config_dir)
        if key not in known or warehouse.watermark(known[key].brand, known[key].indication) is not None
    ]
    defs = build_defs()
    with dagster_instance() as instance:
        runs = run_partitions(defs, instance, here, partitions, show=not as_json)
    code = end(runs, here, as_json=as_json)
    if any(registered(warehouse).values()):
        _serve(here, warehouse, as_json=as_json)
    return code


def _serve(here: Settings, warehouse: Warehouse, *, as_json: bool) -> None:
    """Have what is registered answer, and end with how to ask it."""
    serve_in_background(here, warehouse, as_json=as_json)
    say("deploying what is registered", as_json=as_json)
    asked = deploy(warehouse, None, by=getpass.getuser())
    releases = [await_release(warehouse, one) for one in asked.values()]
    for release in releases:
        url = here.service_url(release.service_name)
        say(f"{release.service_name} answers on {url} with {len(release.members)} models", as_json=as_json)
    say("Look: e2i deploy status. Stop the services: e2i down. Ask one:", as_json=as_json)
    say(example_request(here, releases[0]), as_json=as_json)


def _ensure_data(here: Settings, warehouse: Warehouse, spec: GeneratorSpec, *, as_json: bool) -> None:
    """Data that are there stand, whatever day it is by now."""
    rows = {status.table: status.rows for status in warehouse.status()}
    if rows["patient_journeys"]:
        say(f"using the {rows['patient_journeys']:,} patient journeys in the warehouse", as_json=as_json)
        return
    report = generate_and_load(here, warehouse, spec, show=not as_json).report
    say(f"generated and loaded {report.rows['patient_journeys']:,} patient journeys", as_json=as_json)
