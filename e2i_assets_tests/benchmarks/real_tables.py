"""Real tables out of installed wheels, each by what a mapping and a cohort file would say of it.

Numbers are numbers, text is a category, and what is known only with or after the outcome is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.problem_types import problem_of

BINARY, REGRESSION = "binary_classification", "regression"


@dataclass(frozen=True)
class RealTable:
    """One question of one table.

    Attributes:
        source: a file below a package, or what makes the frame.
        outcome: column, or rows to outcome; a row whose outcome is unknown is not asked about.
        leave_out: identifiers, and what is known only with or after the outcome.
        codes: columns of numbers that stand for categories.
    """

    name: str
    problem_type: str
    source: str | Callable[[], pd.DataFrame]
    outcome: str | Callable[[pd.DataFrame], pd.Series]
    leave_out: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def problem(self) -> Problem:
        return problem_of(self.problem_type)

    def read(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Features and outcome, rows in the order of the file."""
        frame = _file(self.source) if isinstance(self.source, str) else self.source()
        outcome = frame[self.outcome] if isinstance(self.outcome, str) else self.outcome(frame)
        asked = outcome.notna().to_numpy()
        dropped = {self.outcome, *self.leave_out} & set(frame.columns)
        X = frame.loc[asked].drop(columns=list(dropped)).reset_index(drop=True)
        for name in X:
            if name in self.codes or not pd.api.types.is_numeric_dtype(X[name]):
                known = X[name].notna()
                X[name] = X[name].astype(str).where(known, None).astype(object)
            else:
                X[name] = X[name].astype(float)
        return X, outcome[asked].to_numpy(dtype=float)


def features_of(X: pd.DataFrame) -> list[Feature]:
    """The features of a frame, by what its columns hold."""
    return [
        Feature(name=name, kind="categorical" if X[name].dtype == object else "numeric", source="table")
        for name in X.columns
    ]


def _file(path: str) -> pd.DataFrame:
    package, _, rest = path.partition("/")
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed"
    file = Path(str(spec.origin)).parent / rest
    if file.suffix == ".dta":
        frame = pd.read_stata(file, convert_categoricals=False)
    else:
        frame = pd.read_csv(file, sep=None, engine="python")
    return frame.rename(columns=lambda name: str(name).strip("'"))


def _breast_cancer() -> pd.DataFrame:
    return load_breast_cancer(as_frame=True).frame


def _diabetes() -> pd.DataFrame:
    return load_diabetes(as_frame=True, scaled=False).frame


_NHEFS_LATER = (
    "seqn", "yrdth", "modth", "dadth", "death", "wt82", "wt82_71", "smkintensity82_71", "qsmk",
)  # fmt: skip

TABLES = (
    RealTable("breast cancer: benign", BINARY, _breast_cancer, "target"),
    RealTable("GBSG-2: recurrence", BINARY, "lifelines/datasets/gbsg2.csv", "cens", ("time",)),
    RealTable("Rossi: arrest", BINARY, "lifelines/datasets/rossi.csv", "arrest", ("week",)),
    RealTable(
        "ACTG 175: progression", BINARY, "lifelines/datasets/ACTG175.csv", "cens",
        ("Unnamed: 0", "pidnum", "days", "cd420", "cd820", "cd496", "r", "offtrt"), ("arms", "strat"),
    ),
    RealTable("kidney transplant: death", BINARY, "lifelines/datasets/kidney_transplant.csv", "death", ("time",)),
    RealTable(
        "regimes: democracy", BINARY, "lifelines/datasets/dd.csv", lambda f: (f["democracy"] == "Democracy") * 1,
        ("democracy", "regime", "ctryname", "cowcode2", "politycode", "ehead", "leaderspellreg"),
    ),
    RealTable("Mroz: in the labour force", BINARY, "causaldata/Mroz/Mroz.csv", lambda f: (f["lfp"].astype(str).str.lower().isin(["yes", "true", "1"])) * 1,
              ("lfp", "Unnamed: 0")),
    RealTable("NHEFS: death", BINARY, "causaldata/nhefs/nhefs.dta", "death", _NHEFS_LATER, ("birthplace", "marital", "alcoholtype")),
    RealTable("Titanic: survived", BINARY, "causaldata/titanic/titanic.dta", "survived", (), ("class",)),
    RealTable("Thornton: learnt the result", BINARY, "causaldata/thornton_hiv/thornton_hiv.dta", "got", (), ("villnum",)),
    RealTable("ANES 96: vote", BINARY, "statsmodels/datasets/anes96/anes96.csv", "vote"),
    RealTable("Fair: an affair", BINARY, "statsmodels/datasets/fair/fair.csv", lambda f: (f["affairs"] > 0) * 1, ("affairs",)),
    RealTable("sentences: custody", BINARY, "causaldata/ccdrug/ccdrug.dta", "custody", (), ("offense", "drg_class")),
    RealTable("politicians: responded", BINARY, "causaldata/black_politicians/black_politicians.csv", "responded"),
    RealTable("cards: late in September", BINARY, "causaldata/credit_cards/credit_cards.dta", "LateSept"),
    RealTable("insurance: take-up", BINARY, "causaldata/social_insure/Cai_2015.csv", "takeup_survey", ("address",)),
    RealTable("diabetes: progression", REGRESSION, _diabetes, "target"),
    RealTable("college: wage", REGRESSION, "causaldata/close_college/close_college.dta", "lwage"),
    RealTable("RAND: visits", REGRESSION, "statsmodels/datasets/randhie/randhie.csv", "mdvis"),
    RealTable("CPS: earnings", REGRESSION, "causaldata/cps_mixtape/cps_mixtape.dta", "re78", ("data_id", "treat")),
    RealTable("NHEFS: weight gain", REGRESSION, "causaldata/nhefs/nhefs.dta", "wt82_71",
              ("seqn", "yrdth", "modth", "dadth", "death", "wt82", "smkintensity82_71"), ("birthplace", "marital", "alcoholtype")),
    RealTable("countries: life expectancy", REGRESSION, "causaldata/gapminder/gapminder.csv", "lifeExp", ("country",)),
    RealTable("IHDP: IQ", REGRESSION, "econml/data/ihdp/example.csv", "iqsb.36"),
    RealTable("STAR 98: mathematics", REGRESSION, "statsmodels/datasets/star98/star98.csv", "PR50M", ("MATHTOT",)),
)  # fmt: skip
"""What is asked; the wheels are those of the development extra and of the product itself."""
