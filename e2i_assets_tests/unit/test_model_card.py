"""The card's checklist and wording; the whole page is tested where whole models are made (test_problem_types)."""

from __future__ import annotations

import pytest

from e2i_assets.html_pages import render
from e2i_assets.modeling.card.page import SECTIONS
from e2i_assets.modeling.card.tripod import ITEMS, OPEN, checklist
from e2i_assets.modeling.card.wording import figure_of, signed, with_ends
from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.modeling.problems.binary import Binary

HOSTILE = '<script src="//x">alert(1)</script>'


def test_all_27_items_are_there_and_open_ones_say_what_is_wanted() -> None:
    items = checklist({"6b": "Adults."})
    assert {int(item.number.rstrip("abcdefg")) for item in items} == set(range(1, 28))
    by_number = {item.number: item for item in items}
    assert by_number["6b"].text == "Adults."
    assert by_number["17"].text == f"{OPEN}{ITEMS['17'][1]}"


def test_an_answer_to_no_item_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="28"):
        checklist({"28": "Yes."})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (figure_of(None, Binary(), "roc_auc"), "not available"),
        (with_ends(0.8, Interval(0.7, 0.9), Binary(), "roc_auc"), "0.800 (0.700 to 0.900)"),
        (with_ends(0.8, None, Binary(), "roc_auc"), "0.800"),
        (signed(-0.02, Binary(), "roc_auc"), "-0.020"),
        (signed(None, Binary(), "roc_auc"), "–"),
    ],
)
def test_figures_are_told_with_their_interval_and_sign(text: str, expected: str) -> None:
    assert text == expected


def test_no_name_becomes_part_of_the_page() -> None:
    table = {"caption": HOSTILE, "head": [HOSTILE], "rows": [[HOSTILE]]}
    picture = {"caption": HOSTILE, "data": ""}
    texts = dict.fromkeys(("title", "fingerprint", "tuning"), HOSTILE)
    page = render(
        "model_card.html",
        **texts,
        **dict.fromkeys(
            ("splits", "predictors", "finalists", "params", "metrics", "compared", "subgroups", "leakage", "gates",
             "versions"),
            table,
        ),
        sections=SECTIONS,
        summary=[HOSTILE],
        intended={"description": HOSTILE},
        cohort=dict.fromkeys(("cohort_name", "clinical_rationale", "brand", "indication"), HOSTILE),
        candidate={"rationale": HOSTILE},
        flow=picture,
        learnt=[picture],
        pictures=[picture],
        unavailable={HOSTILE: HOSTILE},
        limits=[HOSTILE],
        tripod=checklist({"6b": HOSTILE}),
        minimum=5,
    )  # fmt: skip
    assert "<script" not in page
    assert page.count("&lt;script") > 20
