"""Mapping files: a mistake names the file, the line and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2i_assets.ingest.mapping import Mapping, MappingError

GOOD = """\
source: hospital
read: {encoding: latin-1, decimal: ","}
tables:
  patient_journeys:
    file: people.csv
    columns:
      patient_journey_id: id
      age_at_diagnosis: {from: months, unit: months, factor: 0.08333333333}
      gender:
        from: sex
        values: {no: F, yes: M, 3: null}
    attributes:
      tall: height > 180
      relapse: {from: rel, role: outcome, available_at: outcome}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    return path


def test_short_and_long_form_say_the_same(tmp_path: Path) -> None:
    spec = Mapping.from_yaml(written(tmp_path, GOOD)).tables["patient_journeys"]
    assert spec.columns["patient_journey_id"].expression == "id"
    assert spec.columns["gender"].values == {"no": "F", "yes": "M", "3": None}
    assert (spec.attributes["tall"].role, spec.attributes["relapse"].role) == ("feature", "outcome")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("source: hospital", "sauce: hospital", 1, "sauce"),
        ("latin-1", "latin-99", 2, "no such encoding"),
        ("latin-1", 'utf-8, time_zone: Europe/Bern', 2, "no such time zone"),
        ("latin-1", 'utf-8, date_format: "%d.%m.%y"', 2, "does not hold a whole day"),
        ("latin-1", "utf-8, date_format: dd.mm.yyyy", 2, "does not hold a whole day"),
        ("latin-1", "utf-8, dates: iso", 2, "read.dates: no such key"),
        ("latin-1", "rot13", 2, "no such encoding"),
        ("latin-1", "idna", 2, "no such encoding"),
        ("latin-1", 'utf-8, delimiter: x', 2, "must be a character that is no letter"),
        ("    columns:\n", "    columns: &a\n      hcp_id: *a\n", 6, "nested too deeply"),
        ("source: hospital\n", "", 1, "source: Field required"),
        ("    columns:", "    table: a.b\n    columns:", 4, "say either `file` or `table`"),
        ("0.08333333333", ".inf", 8, "finite"),
        ("patient_journeys:", "patients:", 4, "no such table"),
        ("age_at_diagnosis:", "age:", 8, "has no column age"),
        (", factor: 0.08333333333", "", 8, "is in years, the source in months; say `factor`"),
        ("unit: months", "unit: years", 8, "is in years already"),
        ("unit: months, ", "", 8, "say the source's `unit`"),
        ("from: sex", "form: sex", 10, "form"),
        ("from: sex", "from: sex\n        unit: kg", 11, "has no unit declared"),
        ("{no: F, yes: M, 3: null}", "{no: F, no: M}", 11, "stands twice"),
        ("{no: F, yes: M, 3: null}", "\n          no: F\n          yes: male", 13, "gender cannot be male; it is"),
        ("source: hospital", "source: synthetic", 1, "is the name of generated data"),
        ("tall:", "gender:", 13, "put it under `columns`"),
        ("role: outcome", "role: result", 14, "role"),
        ("      tall: h", "     tall: h", 14, "is not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in GOOD
    with pytest.raises(MappingError) as error:
        Mapping.from_yaml(written(tmp_path, GOOD.replace(old, new)))
    assert f"mapping.yaml:{line}: " in str(error.value)
    assert message in str(error.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as error:
        Mapping.from_yaml(written(tmp_path, GOOD.replace("age_at", "age_before").replace("tall", "gender")))
    assert len(str(error.value).splitlines()) == 2
