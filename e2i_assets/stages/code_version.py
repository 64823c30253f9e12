"""Code versions: a hash of the source that decides a stage's result, which is all that its module imports.

The imports are read, not run, those inside functions among them, so that a new one counts by itself. What is
imported for types alone (`TYPE_CHECKING`) does not count. The doors that a stage is handed are: where MLflow
runs are kept decides no result.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grimp import ImportGraph

PACKAGE = __name__.partition(".")[0]

PRESENTS = {
    "assets.shown": "schemas, tables and pictures of results in Dagit",
    "causal.plots": "pictures of an effect",
    "cli": "what the terminal says",
    "cohorts.flow": "the flow chart of a cohort",
    "contracts.markdown": "how text is written for Dagit",
    "drawing": "what all plots share",
    "html_pages": "the frame of every page",
    "kpis.page": "indicators as a page",
    "leakage.render": "an audit as text and pages",
    "modeling.explanation.explain": "what a model has learnt",
    "modeling.explanation.plots": "pictures of it",
    "modeling.evaluation.plots": "plots of models",
    "modeling.explanation.shapley": "what each feature adds to a score",
    "modeling.tuning.plots": "plots of studies",
    "modeling.uplift.plots": "plots of effects",
    "monitoring.page": "a drift report as a page",
    "monitoring.plots": "pictures of drift",
    "quality.datadocs": "Great Expectations' pages",
    "quality.plots": "plots of grades",
    "quality.render": "a report as text and pages",
    "monitoring.alerts": "who is told of a refusal",
    "stages.alerting": "refusals as alerts",
    "stages.display": "verdicts and versions in Dagit",
    "stages.lineage_events": "stages as OpenLineage events",
    "stages.downstream": "what Dagit says of gates that a run did not come to",
}
"""Modules and packages that only show what others decided, and what: a result is the same without them."""

ONLY_REFUSES = {
    ("partitions", "modeling.scopes.files"): "a cohort file of a wrong scope is refused before any stage",
}
"""Imports, from and of, by which nothing is decided but whether there is a run at all."""

BY_NAME = {
    "modeling.scopes.problem_types": "modeling.problems",  # loads each module that is there
    "modeling.scopes.scope": "modeling.problems",  # a scope comes with the problem type that its file names
    "serving.packing": "serving.server",  # copies the source of the service
}
"""Modules that come to others by name, which no import says: all of the package counts as imported."""


@cache
def code_version(module: str) -> str:
    """Hash of a module and of all that it imports from its own package and ours: Dagster's code version.

    Raises:
        grimp.exceptions.ModuleNotPresent: the module is in no package.
    """
    digest = hashlib.sha256()
    for name in sorted(deciding_modules(module)):
        digest.update(name.encode() + b"\0" + _source_hash(name))
    return digest.hexdigest()[:16]


def sources(module: str) -> dict[str, str]:
    """What a code version is made of: each deciding module to a hash of its source.

    Raises:
        grimp.exceptions.ModuleNotPresent: the module is in no package.
    """
    return {name: _source_hash(name).hex()[:16] for name in sorted(deciding_modules(module))}


def deciding_modules(module: str) -> frozenset[str]:
    """The module and what it imports, directly or not, less what only presents; full names.

    Raises:
        grimp.exceptions.ModuleNotPresent: the module is in no package.
    """
    graph = _imports(module.partition(".")[0])
    return frozenset({module} | graph.find_upstream_modules(module))


@cache
def _imports(root: str) -> ImportGraph:
    import grimp

    graph = grimp.build_graph(
        PACKAGE, *{root} - {PACKAGE}, exclude_type_checking_imports=True, cache_dir=None
    )
    for importer, package in BY_NAME.items():
        for imported in graph.find_descendants(f"{PACKAGE}.{package}"):
            graph.add_import(importer=f"{PACKAGE}.{importer}", imported=imported)
    for importer, imported in ONLY_REFUSES:
        graph.remove_import(importer=f"{PACKAGE}.{importer}", imported=f"{PACKAGE}.{imported}")
    for name in PRESENTS:
        for module in {f"{PACKAGE}.{name}"} | graph.find_descendants(f"{PACKAGE}.{name}"):
            graph.remove_module(module)
    return graph


@cache
def _source_hash(module: str) -> bytes:
    root, *parts = module.split(".")
    path = Path(sys.modules[root].__path__[0]).joinpath(*parts)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return hashlib.sha256(file.read_bytes()).digest()
