"""Data Docs: each suite's results as Great Expectations words them, one self-contained HTML page per suite.

The pages are kept beside the report that they belong to, so nothing in them comes from a clock, a random id
or another site: Great Expectations' own page loads styles and scripts from six of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from e2i_assets.html_pages import render
from e2i_assets.quality.config import Suite
from e2i_assets.quality.suite_result import SuiteResult

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.render.view.view import DefaultJinjaComponentView
    from markupsafe import Markup

FOLDER = "data_docs"
"""Folder of the pages beside the report; `<suite>.html` in it."""


def suite_page(suite: Suite, verdict: SuiteResult, judged: Sequence[ExpectationValidationResult]) -> str:
    """The page of one suite; the same results give the same page.

    Args:
        judged: Great Expectations' results that judged at least one value, in the order of the suite file.
    """
    from great_expectations import __version__ as ge_version
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    statistics = {
        "evaluated_expectations": verdict.evaluated,
        "successful_expectations": verdict.successful,
        "unsuccessful_expectations": len(verdict.failed),
        "success_percent": 100 * verdict.success_rate,
    }
    for result in judged:
        # Great Expectations cannot render the NumPy number that its own mean is.
        if isinstance(observed := result.result.get("observed_value"), np.generic):
            result.result["observed_value"] = observed.item()
    validation = ExpectationSuiteValidationResult(
        success=not verdict.failed,
        results=list(judged),
        suite_name=suite.suite,
        statistics=statistics,
        meta={},
    )
    document = ValidationResultsPageRenderer().render(validation).to_json_dict()
    return render(
        "data_docs.html",
        title=suite.suite,
        status=verdict.status,
        suite=suite,
        not_evaluated=verdict.not_evaluated,
        sections=list(_sections(document)),
        ge_version=ge_version,
    )


def _sections(document: dict[str, Any]) -> Iterator[tuple[str, list[Markup]]]:
    """Heading and tables of each section; the tables are HTML that Great Expectations itself escapes."""
    from markupsafe import Markup

    view = _component_view()
    for number, section in enumerate(document["sections"], start=1):
        tables = [block for block in section["content_blocks"] if block["content_block_type"] == "table"]
        html = []
        for place, table in enumerate(tables, start=1):
            # It numbers the elements by the loops that its own page has at this place.
            loops = {"section_loop": {"index": number}, "content_block_loop": {"index": place}}
            html.append(Markup(view.render({"content_block": table, **loops})))
        yield section["section_name"], html


@cache
def _component_view() -> DefaultJinjaComponentView:
    from great_expectations.render.view.view import DefaultJinjaComponentView

    return DefaultJinjaComponentView()
