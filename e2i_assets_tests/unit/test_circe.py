"""Cohort definitions of OHDSI: what cannot be taken over is refused by its path, and odd files by what they are."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2i_assets.cohorts.circe import CirceError, Definition, import_definition
from e2i_assets.cohorts.circe.definition import Asked
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets_tests.conftest import ROOT

EXAMPLE = json.loads((ROOT / "examples" / "omop" / "celecoxib_new_users.json").read_text())
Change = Callable[[dict[str, Any]], None]


def imported(folder: Path, definition: Any, *leave_out: str) -> Definition:
    path = folder / "definition.json"
    path.write_text(definition if isinstance(definition, str) else json.dumps(definition))
    return import_definition(path, Asked("B", "i", dt.date(2024, 1, 1), leave_out=leave_out))


def changed(change: Change) -> dict[str, Any]:
    definition = copy.deepcopy(EXAMPLE)
    change(definition)
    return definition


def drug(definition: dict[str, Any]) -> dict[str, Any]:
    return definition["PrimaryCriteria"]["CriteriaList"][0]["DrugExposure"]


def group(definition: dict[str, Any], rule: int = 1) -> dict[str, Any]:
    return definition["InclusionRules"][rule]["expression"]


def correlated(definition: dict[str, Any], rule: int = 1) -> dict[str, Any]:
    return group(definition, rule)["CriteriaList"][0]


def put(below: Callable[[dict[str, Any]], dict[str, Any]], **content: Any) -> Change:
    return lambda definition: below(definition).update(content)


def whole(definition: dict[str, Any]) -> dict[str, Any]:
    return definition


def window(definition: dict[str, Any]) -> dict[str, Any]:
    return correlated(definition)["StartWindow"]


DRUG = r"\$\.PrimaryCriteria\.CriteriaList\[0\]\.DrugExposure"
RULE = r"\$\.InclusionRules\[1\]\.expression"
EVENT = RULE + r"\.CriteriaList\[0\]"
NOT_HONOURED: dict[str, tuple[Change, str]] = {
    "end strategy": (
        put(whole, EndStrategy={"DateOffset": {"DateField": "EndDate", "Offset": 7}}),
        r"\$\.EndStrategy: members are followed to the end .*--leave-out EndStrategy",
    ),
    "censoring": (
        put(whole, CensoringCriteria=[{"Death": {}}]), r"\$\.CensoringCriteria: .*--leave-out CensoringCriteria"
    ),
    "censor window": (put(whole, CensorWindow={"StartDate": "2020-01-01"}), r"\$\.CensorWindow: CensorWindow is not"),
    "unknown part": (put(whole, Novelty=[1]), r"\$\.Novelty: Novelty is not supported"),
    "all events": (
        lambda d: d["PrimaryCriteria"]["PrimaryCriteriaLimit"].update(Type="All"),
        r"\$\.PrimaryCriteria\.PrimaryCriteriaLimit: All: .*one index date per person.*earliest",
    ),
    "nested criteria": (
        lambda d: drug(d).update(CorrelatedCriteria=group(d)), DRUG + r"\.CorrelatedCriteria: .*inclusion rule"
    ),
    "text": (lambda d: drug(d).update(StopReason={"Text": "x", "Op": "contains"}), DRUG + r"\.StopReason: "),
    "provider": (
        lambda d: drug(d).update(ProviderSpecialty=[{"CONCEPT_ID": 1}]), DRUG + r"\.ProviderSpecialty: "
    ),
    "kind of criterion": (
        lambda d: d["PrimaryCriteria"].update(CriteriaList=[{"PayerPlanPeriod": {}}]),
        r"CriteriaList\[0\]\.PayerPlanPeriod: criteria of this kind are not read; there are ConditionOccurrence",
    ),
    "visit of the index event": (put(correlated, RestrictVisit=True), EVENT + r"\.RestrictVisit: "),
    "second window": (
        lambda d: correlated(d).update(EndWindow=window(d)), EVENT + r"\.EndWindow: .*Only one window"
    ),
    "different concepts": (
        put(correlated, Occurrence={"Type": 2, "Count": 2, "IsDistinct": True}),
        EVENT + r"\.Occurrence\.CountColumn: different DOMAIN_CONCEPT cannot be counted",
    ),
    "race": (
        lambda d: group(d)["DemographicCriteriaList"].append({"Race": [{"CONCEPT_ID": 8527}]}),
        RULE + r"\.DemographicCriteriaList\[0\]\.Race: ",
    ),
    "gender among what must not be": (
        lambda d: group(d).update(
            Type="AT_MOST", Count=0, DemographicCriteriaList=[{"Gender": [{"CONCEPT_ID": 8507}]}]
        ),
        r"DemographicCriteriaList\[0\]\.Gender: under AT_MOST",
    ),
    "empty group": (lambda d: group(d).update(CriteriaList=[]), RULE + ": an empty group asks nothing"),
    "unattainable number": (
        lambda d: group(d).update(Type="AT_LEAST", Count=2), RULE + r"\.Count: 2 of 1 criteria can never be met"
    ),
    "unknown kind of group": (lambda d: group(d).update(Type="XOR"), RULE + r"\.Type: is none of ALL"),
    "window that ends first": (put(window, End={"Days": 500, "Coeff": -1}), EVENT + r"\.StartWindow: starts after"),
    "window open inwards": (
        put(window, Start={"Days": None, "Coeff": 1}), EVENT + r"\.StartWindow\.Start: is open to the side"
    ),
    "no such concept set": (
        lambda d: drug(d).update(CodesetId=9), DRUG + r"\.CodesetId: there is no concept set 9"
    ),
    "empty concept set": (
        lambda d: d["ConceptSets"][0]["expression"].update(items=[]),
        DRUG + r"\.CodesetId: nothing is in the concept set celecoxib",
    ),
    "two sets of one number": (
        lambda d: d["ConceptSets"][1].update(id=0), r"\$\.ConceptSets\[1\]\.id: is missing, or that of another"
    ),
    "number that is text": (put(window, Start={"Days": "30", "Coeff": -1}), r"Start\.Days: is text, not a whole"),
    "truth value that is text": (lambda d: drug(d).update(First="yes"), DRUG + r"\.First: is text, not true or"),
    "fraction of a year": (
        lambda d: group(d, 0)["DemographicCriteriaList"][0].update(Age={"Value": 1.5, "Op": "gt"}),
        r"Age\.Value: is a number, not a whole",
    ),
    "range that asks nothing": (
        lambda d: drug(d).update(Age={"Op": "gt"}), DRUG + r"\.Age\.Value: is missing, so nothing is asked"
    ),
    "no day": (
        lambda d: drug(d).update(OccurrenceStartDate={"Value": "31.1.2020", "Op": "gt"}),
        DRUG + r"\.OccurrenceStartDate\.Value: 31\.1\.2020 is no day",
    ),
    "list that is none": (lambda d: group(d).update(CriteriaList={}), RULE + r"\.CriteriaList: is an object, not"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_HONOURED)
def test_what_cannot_be_honoured_is_refused_by_its_path(tmp_path: Path, name: str) -> None:
    change, message = NOT_HONOURED[name]
    with pytest.raises(CirceError, match=message):
        imported(tmp_path, changed(change))


def test_everything_that_is_refused_is_said_at_once(tmp_path: Path) -> None:
    def change(definition: dict[str, Any]) -> None:
        correlated(definition, 1)["RestrictVisit"] = True
        correlated(definition, 2)["EndWindow"] = window(definition)
        definition["EndStrategy"] = {"CustomEra": {"DrugCodesetId": 0}}

    with pytest.raises(CirceError, match=r"(?s)RestrictVisit.*EndWindow.*EndStrategy"):
        imported(tmp_path, changed(change))


ODD: dict[str, tuple[str, str]] = {
    "no JSON": ("{'a': 1}", r"definition\.json:1: \$: is not JSON"),
    "a list": ("[]", "is a list, not a cohort definition"),
    "another document": ('{"items": []}', "is no Circe cohort definition: it has no PrimaryCriteria"),
    "another document, wrapped": ('{"name": "x", "expression": {"items": []}}', r"\$\.expression: is no Circe"),
    "text inside that is no JSON": ('{"expression": "{"}', r"\$\.expression: is not JSON"),
    "a key twice": (
        '{"PrimaryCriteria": {}, "PrimaryCriteria": {}}', "the key PrimaryCriteria stands twice in one object"
    ),
    "no number": ('{"PrimaryCriteria": NaN}', "NaN is no number of JSON"),
    "a number without end": ('{"PrimaryCriteria": 1e999}', "1e999 is no number of JSON"),
    "digits without end": (f'{{"PrimaryCriteria": {"9" * 5000}}}', "is not JSON that can be read"),
    "no object": ('{"PrimaryCriteria": 3}', r"\$\.PrimaryCriteria: is a number, not an object"),
    "levels without end": ("[" * 100_000, "is nested too deeply"),
    "many levels": (f'{{"PrimaryCriteria": {"[" * 70}{"]" * 70}}}', "is nested too deeply: more than 60 levels"),
    "nothing": ("", "is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_called_what_it_is(tmp_path: Path, name: str) -> None:
    text, message = ODD[name]
    with pytest.raises(CirceError, match=message):
        imported(tmp_path, text)
    with pytest.raises(CirceError, match=r"nowhere\.json: cannot be read"):
        import_definition(tmp_path / "nowhere.json", Asked("B", "i", dt.date(2024, 1, 1)))


def test_groups_deeper_than_a_cohort_file_holds_are_refused(tmp_path: Path) -> None:
    def change(definition: dict[str, Any]) -> None:
        for _ in range(8):
            definition["InclusionRules"][1]["expression"] = {"Type": "ANY", "Groups": [group(definition)] * 2}

    with pytest.raises(CirceError, match="groups are nested more than 6 levels deep"):
        imported(tmp_path, changed(change))


def test_atlas_wraps_a_definition_as_an_object_or_as_text(tmp_path: Path) -> None:
    named = {"id": 3, "name": "New\u2028 users: yes", "description": "Who begins."}
    plain = imported(tmp_path, EXAMPLE)
    for expression in (EXAMPLE, json.dumps(EXAMPLE)):
        wrapped = imported(tmp_path, named | {"expression": expression})
        assert (wrapped.config.cohort_name, wrapped.config.clinical_rationale) == (
            "New users: yes",
            "Who begins.",
        )
        assert wrapped.config.criteria == plain.config.criteria
        assert wrapped.mapping == plain.mapping


def test_names_that_are_alike_or_say_nothing_stay_apart(tmp_path: Path) -> None:
    def change(definition: dict[str, Any]) -> None:
        for concept_set, name in zip(definition["ConceptSets"], ("Ä", "GI bleed!", "gi-bleed"), strict=True):
            concept_set["name"] = name
        for rule in definition["InclusionRules"]:
            rule["name"] = "same"
        del definition["InclusionRules"][0]["name"]

    definition = imported(tmp_path, changed(change))
    omop = Mapping.from_text(definition.mapping, tmp_path).omop
    assert omop is not None
    assert list(omop.concept_sets) == ["set_0", "gi_bleed", "gi_bleed_2"]
    assert [c.description for c in definition.config.criteria] == ["Rule 1", "same", "same"]
    assert definition.rules == ("Rule 1", "same", "same")


def test_what_nobody_asks_for_and_what_was_left_out_is_noted(tmp_path: Path) -> None:
    def change(definition: dict[str, Any]) -> None:
        definition["ConceptSets"].append({"id": 7, "name": "Idle", "expression": {"items": []}})
        definition["EndStrategy"] = {"DateOffset": {"DateField": "EndDate", "Offset": 7}}

    definition = imported(tmp_path, changed(change), "EndStrategy")
    assert "no criterion asks for the concept set idle: it was left out" in definition.notes
    assert "EndStrategy was left out" in definition.config.clinical_rationale


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("table: drug_exposure", "table: drug_era", "nothing of drug_era is called refills"),
        ("value: 3", "value: [3, 4]", "> takes one value"),
        ("value: 3", "value: 2020-01-01", "refills takes numbers"),
        ("value: 3", "value: yes", r"omop\.events\.celecoxib_first_selected\.where\[0\]\.value"),
        ("- celecoxib_first_selected", "- celecoxib", "no event named celecoxib"),
        ("- age_by_year", "- treated_before_index", "treated_before_index needs a treatment"),
        ("concept_set: celecoxib", "concept_set: nonesuch", "no concept set named nonesuch"),
        ("visits: false", "visits: false\n  conditions: [osteoarthritis]", "events named osteoarthritis are made of"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_mapping_of_records_names_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = imported(tmp_path, changed(lambda d: drug(d).update(Refills={"Value": 3, "Op": "gt"}))).mapping
    assert old in text
    with pytest.raises(MappingError, match=rf"m\.yaml:\d+: .*{message}"):
        Mapping.from_text(text.replace(old, new, 1), tmp_path / "m.yaml")
