"""Real tables from wheels, each with the columns that are known only after its index date, and why.

`CASES` have such columns; without them, and as in `CLEAN`, a table must raise no alarm. The wheels are read
as files, not imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Case:
    """A table, its target, and what must not be used to predict it."""

    name: str
    load: Callable[[], pd.DataFrame]
    target: str
    afterwards: dict[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    """Those of `afterwards` that the data alone reveal, as measured."""

    @property
    def clean(self) -> pd.DataFrame:
        return self.load().drop(columns=list(self.afterwards))


def wheel(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    (folder,) = list(spec.submodule_search_locations or [])
    return Path(folder) / path


def lifelines(file: str, sep: str = ",") -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_csv(wheel("lifelines", f"datasets/{file}"), sep=sep)


def causal(name: str) -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_stata(wheel("causaldata", f"{name}/{name}.dta"), convert_categoricals=False)


def causal_csv(path: str, rows: int | None = None) -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_csv(wheel("causaldata", path), nrows=rows)


def econometric(path: str, sep: str = ",") -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_csv(wheel("statsmodels", f"datasets/{path}"), sep=sep)


def sklearn(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame

    return load


FOLLOW_UP = "follow-up time until the event or censoring"
DEATH = "date of death, there only for the dead"
IN_1982 = "measured in 1982; the index date is in 1971"
AT_TRIAL_END = "measured or decided in the course of the trial"

_LYMPH = {
    "recdate": "date of recurrence or last follow-up",
    "deathdate": "date of death or last follow-up",
    "rectime": FOLLOW_UP,
    "survtime": FOLLOW_UP,
}
_ACTG = {
    "days": FOLLOW_UP,
    "cd420": AT_TRIAL_END,
    "cd496": AT_TRIAL_END,
    "cd820": AT_TRIAL_END,
    "r": "whether CD4 was measured at 96 weeks",
}
_NHEFS = dict.fromkeys(
    ("sbp", "dbp", "wt82", "wt82_71", "smkintensity82_71", "price82", "tax82", "hightax82", "price71_82",
     "tax71_82", "censored"), IN_1982
)  # fmt: skip
_DIED = {"yrdth": DEATH, "modth": DEATH, "dadth": DEATH}


def _without(columns: dict[str, str], name: str) -> dict[str, str]:
    return {c: why for c, why in columns.items() if c != name}


def _fair() -> pd.DataFrame:
    table = econometric("fair/fair.csv")()
    return table.assign(affair=(table["affairs"] > 0).astype(int))


CASES = (
    Case("GBSG-2 trial", lifelines("gbsg2.csv"), "cens", {"time": FOLLOW_UP}, ("time",)),
    Case("Rossi recidivism", lifelines("rossi.csv"), "arrest", {"week": FOLLOW_UP}, ("week",)),
    Case("NCCTG lung cancer", lifelines("lung.csv"), "status", {"time": FOLLOW_UP}, ("time",)),
    Case("kidney transplants", lifelines("kidney_transplant.csv"), "death", {"time": FOLLOW_UP}, ("time",)),
    Case("larynx cancer", lifelines("larynx.csv"), "death", {"time": FOLLOW_UP}, ("time",)),
    Case("leukaemia remission", lifelines("anderson.csv", " "), "status", {"t": FOLLOW_UP}, ("t",)),
    Case("lymphoma", lifelines("lymphoma.csv"), "Censor", {"Time": FOLLOW_UP}, ("Time",)),
    Case("AIDS cohort", lifelines("multicenter_aids_cohort.tsv", "\t"), "D", {"T": FOLLOW_UP}, ("T",)),
    Case("regimes", lifelines("dd.csv"), "observed", {"duration": FOLLOW_UP}, ("duration",)),
    Case(
        "tuberculosis 1955", lifelines("merrell1955.csv"), "dead",
        {"year_month_of_last_observation": "end of follow-up",
         "time_between_diagnosis_and_last_observation_(years)": FOLLOW_UP},
        ("year_month_of_last_observation", "time_between_diagnosis_and_last_observation_(years)"),
    ),
    Case("Stanford heart", lifelines("stanford_heart.csv"), "event", {"stop": "end of the interval"}, ("stop",)),
    Case(
        "recurrent events", lifelines("recur.csv"), "CENSOR",
        {"TIME1": "end of the interval", "EVENT": "number of the event that ended it"}, ("TIME1", "EVENT"),
    ),
    Case(
        "senators", lifelines("canadian_senators.csv"), "observed",
        {"end_date": "end of the term", "diff_days": FOLLOW_UP, "reason": "why the term ended",
         "Term (yyyy.mm.dd)": "holds the end of the term"},
        ("end_date", "diff_days", "reason"),
    ),
    Case(
        "node-positive breast cancer, recurrence", lifelines("lymph_node.csv"), "censrec",
        _LYMPH | {"censdead": "death in follow-up"}, (*_LYMPH, "censdead"),
    ),
    Case(
        "node-positive breast cancer, death", lifelines("lymph_node.csv"), "censdead",
        _LYMPH | {"censrec": "recurrence in follow-up"}, (*_LYMPH, "censrec"),
    ),
    Case(
        "ACTG 175, event", lifelines("ACTG175.csv"), "cens", _ACTG | {"offtrt": AT_TRIAL_END},
        (*_ACTG, "offtrt"),
    ),
    Case(
        "ACTG 175, off treatment", lifelines("ACTG175.csv"), "offtrt", _ACTG | {"cens": AT_TRIAL_END},
        ("cd420", "cd496", "cd820", "r"),
    ),
    Case("heart transplants", econometric("heart/heart.csv"), "censors", {"survival": FOLLOW_UP}, ("survival",)),
    Case("NHEFS, death", causal("nhefs"), "death", _DIED | _NHEFS, tuple(_DIED)),
    Case(
        "NHEFS, quitting", causal("nhefs"), "qsmk", _DIED | _NHEFS | {"death": "death by 1992"},
        ("smkintensity82_71",),
    ),
    Case(
        "NHEFS, weight", causal("nhefs_complete"), "wt82_71",
        _without(_DIED | _NHEFS, "wt82_71") | {"death": "death by 1992"}, (*_DIED, "wt82", "death"),
    ),
    Case("training partition", causal("nsw_mixtape"), "treat", {"re78": "earnings after the partition"}),
    Case("affairs", _fair, "affair", {"affairs": "what the target is made of"}, ("affairs",)),
    Case(
        "elections", causal("close_elections_lmb"), "democrat",
        {"demvoteshare": "share that decides the election", "score": "voting record in the term that follows"},
        ("demvoteshare",),
    ),
    Case("cash transfers", causal_csv("gov_transfers/Government_Transfers_RDD_Data.csv"), "Participation",
         {"Support": "asked after the partition", "Income_Centered": "the rule that decides eligibility"},
         ("Income_Centered",)),
    Case("labour force", causal_csv("Mroz/Mroz.csv"), "lfp",
         {"lwg": "wage, imputed for those who do not work", "Unnamed: 0": "row number of a file sorted by it"},
         ("Unnamed: 0",)),
    Case("credit cards", causal("credit_cards"), "LateApril", {"LateSept": "five months later"}),
)  # fmt: skip

CLEAN = (
    Case("breast cancer", sklearn("breast_cancer"), "target"),
    Case("diabetes progression", sklearn("diabetes"), "target"),
    Case("wine", sklearn("wine"), "target"),
    Case("iris", sklearn("iris"), "target"),
    Case("HIV results", lambda: causal("thornton_hiv")().dropna(subset=["got"]), "got"),
    Case("sentencing", causal("ccdrug"), "custody"),
    Case("late payment", causal("credit_cards"), "LateSept"),
    Case("insurance uptake", causal_csv("social_insure/Cai_2015.csv"), "takeup_survey"),
    Case("answers of legislators", causal_csv("black_politicians/black_politicians.csv"), "responded"),
    Case("mortgages", causal_csv("mortgages/fetter_mortgages.csv", 20_000), "home_ownership"),
    Case("college nearby", causal("close_college"), "nearc4"),
    Case("Titanic", causal("titanic"), "survived"),
    Case("cars", causal("auto"), "foreign"),
    Case("marriages", econometric("fair/fair.csv"), "affairs"),
    Case("doctor visits", econometric("randhie/randhie.csv"), "mdvis"),
    Case("earnings 1978", causal("nsw_mixtape"), "re78"),
)
