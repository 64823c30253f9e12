"""Which page of the reference is written from what."""

from __future__ import annotations

from collections.abc import Callable

from e2i_assets.cohorts import CohortConfig
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.modeling.problems.binary import BinaryScope
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.problems.multiclass import MulticlassScope
from e2i_assets.modeling.problems.regression import RegressionScope
from e2i_assets.settings import shipped
from e2i_assets_tests.site.alerts import alerts_page
from e2i_assets_tests.site.commands import commands_page
from e2i_assets_tests.site.gates import gates_page
from e2i_assets_tests.site.models import models_in, sections
from e2i_assets_tests.site.tables import tables_page
from e2i_assets_tests.site.variables import variables_page

SCOPES = (BinaryScope, RegressionScope, MulticlassScope, CausalScope)
"""The kinds of scope files, each with what only it may say."""
OTHER_FILES = ("quality.yaml", "optuna_config.yaml", "mlflow/mlflow.yaml", "retraining.yaml")
STRICT = (
    "It is strict YAML: a key that is not here, one that stands twice, and a number like `010` are refused with "
    "their line; `12:30`, `yes` and `2024-01-01` stay text."
)


def cohort_page() -> str:
    """What a cohort file may say."""
    return f"""# Cohort files

`config/cohorts/<brand>_<indication>.yaml` makes a partition: who is in it, and which questions are asked of it.
{STRICT} `e2i cohort show FILE` reads one.

{sections(CohortConfig, "Cohort")}"""


def scope_page() -> str:
    """What a scope file may say, by its kind."""
    written, known = [], []
    for scope in SCOPES:
        kind = scope.model_fields["problem_type"].annotation.__args__[0]  # type: ignore[union-attr]
        written.append(sections(scope, kind, known=known))
        known += [part for part in models_in(scope) if part not in known]
    return f"""# Scope files

`config/scopes/<scope>.yaml` states a question that is asked of every partition whose cohort file lists it. Its
`problem_type` decides what else it may say. {STRICT} `e2i scope new` writes one, `e2i scope check` says whether the
data can answer it.

{"".join(written)}"""


def mapping_page() -> str:
    """What a mapping file may say."""
    return f"""# Mapping files

A mapping says which source column or SQL expression fills which column of [the tables](tables.md). {STRICT}
`e2i data import SOURCE --suggest` drafts one, `--mapping FILE --dry-run` reads it without loading.

{sections(Mapping, "Mapping")}"""


def files_page() -> str:
    """The other files of the configuration as they are shipped; their comments say what they decide."""
    folder = shipped("config")
    parts = [
        f"## {name}\n\n```yaml\n{(folder / name).read_text(encoding='utf-8')}```\n" for name in OTHER_FILES
    ]
    return "\n".join(
        ["# Other files of the configuration\n\nAs they are shipped, below `config/`.\n", *parts]
    )


PAGES: dict[str, Callable[[], str]] = {
    "reference/cohort.md": cohort_page,
    "reference/scope.md": scope_page,
    "reference/mapping.md": mapping_page,
    "reference/tables.md": tables_page,
    "reference/files.md": files_page,
    "reference/settings.md": variables_page,
    "reference/commands.md": commands_page,
    "reference/gates.md": gates_page,
    "reference/alerts.md": alerts_page,
}


def generated() -> dict[str, str]:
    """Path below `docs/` to the Markdown of each generated page."""
    return {path: write() for path, write in PAGES.items()}
