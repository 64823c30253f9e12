"""The audit on real tables: what it finds from the data alone, with a contract, and that clean ones stay clean."""

from __future__ import annotations

import pytest

from e2i_assets.contracts.variables import Variable
from e2i_assets.leakage import audit_leakage
from e2i_assets.leakage.name_rules import (
    are_of_an_event,
    endpoints,
    is_survival_target,
    meaning_of,
    repeated_measures,
)
from e2i_assets_tests.leakage_cases import CASES, CLEAN

HISTORY = """
time_in_hospital duration_of_diabetes months_from_diagnosis time_since_onset TIME0 prior_death
last_visit_date baseline_followup poutcome previous_cancellations cancellation_policy
collections_12_mths_ex_med DiabetesPedigreeFunction family_history_death relapses_last_year
nipple_discharge takeup_survey yrs_married smokeyrs lagdemocrat marital_status progrec
"""


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_what_the_data_alone_reveal(case):
    """Exactly that: no column is accused that was known on the index date."""
    findings = {f.column for f in audit_leakage(case.load(), case.target).findings}
    assert findings == set(case.told)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_no_alarm_without_these_columns(case):
    assert audit_leakage(case.clean, case.target).findings == ()


@pytest.mark.parametrize("case", CLEAN, ids=lambda c: c.name)
def test_no_alarm_on_a_clean_table(case):
    assert audit_leakage(case.load(), case.target).findings == ()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_contract_finds_them_all(case):
    contract = {column: Variable(role="post_outcome", available_at="outcome") for column in case.afterwards}
    findings = audit_leakage(case.load(), case.target, contract=contract).findings
    assert {f.column for f in findings if f.kind == "temporal"} == set(case.afterwards)


def test_a_contract_clears_a_name_but_not_a_figure():
    """`time` is suspect by its name, `week` by its strength."""
    early = Variable(available_at="index")
    for name, suspect, cleared in (("GBSG-2 trial", "time", True), ("Rossi recidivism", "week", False)):
        case = next(c for c in CASES if c.name == name)
        findings = audit_leakage(case.load(), case.target, contract={suspect: early}).findings
        assert [f.column for f in findings] == ([] if cleared else [suspect])


def test_how_many_that_is():
    """What the README says: the columns found from the data alone, of all, and the tables with one found."""
    assert sum(len(case.told) for case in CASES) == 51
    assert sum(len(case.afterwards) for case in CASES) == 93
    assert sum(bool(case.told) for case in CASES) == 25
    assert len(CASES) == 27


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("survtime", "follow-up"),
        ("Survival_in_days", "follow-up"),
        ("time_to_relapse", "follow-up"),
        ("DeathDate", "follow-up"),
        ("date_of_death", "follow-up"),
        ("last_contact_date", "follow-up"),
        ("rfstime", "follow-up"),
        ("date_died", "follow-up"),
        ("last.dt", "follow-up"),
        ("LOS", "follow-up"),
        ("icu_days", "follow-up"),
        ("Relapse Free Status (Months)", "follow-up"),
        ("T", "duration"),
        ("N_Days", "duration"),
        ("PFS", "duration"),
        ("call_duration", "duration"),
        ("TIME1", "duration"),
        ("d.time", "duration"),
        ("DEATH_EVENT", "event"),
        ("Birth.outcome", "event"),
        ("hospdead", "event"),
        ("off_treatment", "event"),
        ("ChurnReason", "aftermath"),
        ("recoveries", "aftermath"),
        ("paid_principal", "aftermath"),
        ("final_bill", "aftermath"),
        ("TermReason", "aftermath"),
        ("weight_at_outcome", "aftermath"),
        ("age_at_diagnosis", None),
        ("wt82_71", "change"),
        *((name, None) for name in HISTORY.split()),
    ],
)
def test_what_a_name_says(name, meaning):
    assert meaning_of(name) == meaning


def test_a_discharge_is_the_index_date_of_a_readmission():
    assert meaning_of("discharge_disposition_id", "death") == "aftermath"
    assert meaning_of("discharge_disposition_id", "readmitted") is None
    assert meaning_of("length_of_stay", "readmitted") is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("cens", True), ("DEATH_EVENT", True), ("E", True), ("OS_status", True), ("is_dead", True)]
    + [(name, False) for name in ("y", "Class", "default", "churn", "loan_status", "readmitted", "target")],
)
def test_the_name_of_an_event_indicator(name, is_one):
    assert is_survival_target(name) is is_one


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        (["rfsstat", "rfstime", "prtime", "prstat", "age"], {"rfsstat": "rfstime", "prstat": "prtime"}),
        (["d1", "t1", "da", "ta", "z1"], {"d1": "t1", "da": "ta"}),
        (["e.tdm", "t.tdm"], {"e.tdm": "t.tdm"}),
        (["srvstat", "srv", "relstat", "rel"], {"srvstat": "srv", "relstat": "rel"}),
        (["srv", "srv.s", "rel", "rel.s"], {"srv.s": "srv", "rel.s": "rel"}),
        (["censor", "time", "time_d", "censor_d"], {"censor_d": "time_d"}),
        (["state", "days", "date", "tested", "dress", "ecog"], {}),
    ],
)
def test_an_event_and_its_time_are_told_by_their_stem(columns, pairs):
    assert endpoints(columns) == pairs


def test_the_time_of_the_target_is_told_by_its_name():
    for name in ("time.to.cmv", "days_until_cmv", "cmv_date", "date of CMV"):
        assert meaning_of(name, "cmv") == "follow-up"
        assert meaning_of(name, "death") != "follow-up"
    assert meaning_of("prior_cmv_date", "cmv") is None
    assert meaning_of("recipient_cmv", "cmv") is None


def test_a_grade_is_not_the_state_of_a_patient():
    """`status` may be anything; its values say what."""
    assert are_of_an_event(("1: alive", "2: dead"))
    assert are_of_an_event(("0", "1"))
    assert not are_of_an_event(("fired", "ok", "promoted"))


def test_repeated_measures_are_told_by_their_names():
    assert repeated_measures(["cd40", "cd420", "cd496", "cd80", "cd820"]) == {
        "cd40": {"20": "cd420", "96": "cd496"}, "cd80": {"20": "cd820"},
    }  # fmt: skip
    assert repeated_measures(["das_baseline", "das_week12"]) == {"das_baseline": {"week12": "das_week12"}}
    assert repeated_measures(["pre_score", "post_score"]) == {"pre_score": {"post": "post_score"}}
    assert repeated_measures(["PAY_0", "PAY_2", "PAY_3", "V10", "V11", "x10", "x15"]) == {}
