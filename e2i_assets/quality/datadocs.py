"""Data Docs: each suite's results as Great Expectations words them, one self-contained HTML page per suite.

The pages are kept beside the report that they belong to, so nothing in them comes from a clock, a random id
or another site: Great Expectations' own page loads styles and scripts from six of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from jinja2 import Template

    from e2i_assets.quality.config import Suite
    from e2i_assets.quality.expectations import SuiteResult

FOLDER = "data_docs"
"""Folder of the pages beside the report; `<suite>.html` in it."""

# The class names are those of Great Expectations' content blocks (Bootstrap and Font Awesome).
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ suite.suite|e }}: Data Docs</title><style>
body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%;margin:.3rem 0}
th,td{border-bottom:1px solid #ddd;padding:.35rem .5rem;text-align:left;vertical-align:top}
th{white-space:nowrap}th:first-child{width:4rem}th:last-child{width:13rem}
h2{margin:1.6rem 0 .2rem;font-size:1.1rem}h5,h6{margin:.8rem 0 .1rem;font-size:1rem}
a{color:#3b6ea5}.badge{background:#eef2f7;border-radius:.25rem;padding:0 .35rem;font-family:monospace}
.fa-check-circle::before{content:"\\2714";color:#176b3a}
.fa-times::before{content:"\\2718";color:#a1161b}
.fa-exclamation-triangle::before{content:"\\26a0";color:#8a5a00}
i{font-style:normal}.note{color:#666;font-size:.9em}
.passed{color:#176b3a}.warning{color:#8a5a00}.failed{color:#a1161b}
</style></head><body>
<p><a href="../report.html">Quality report</a></p>
<h1>{{ suite.suite|e }}: <span class="{{ verdict.status }}">{{ verdict.status }}</span></h1>
<p>{{ suite.description|e }} Table {{ suite.table|e }}.</p>
{% for section in sections %}{% set section_loop = loop %}
{% if not loop.first %}<h2>{{ section["section_name"] }}</h2>{% endif %}
{% for content_block in section["content_blocks"] if content_block["content_block_type"] == "table" %}
{% set content_block_loop = loop %}{% include "component.j2" %}
{% endfor %}{% endfor %}
{% if verdict.not_evaluated %}<h2>No value to judge</h2><ul>
{% for rule in verdict.not_evaluated %}<li>{{ rule|e }}</li>{% endfor %}</ul>{% endif %}
<h2>Why</h2><table><thead><tr><th>Column</th><th>Rule</th><th>Reason</th></tr></thead><tbody>
{% for e in suite.expectations %}<tr><td>{{ (e.columns|join(", ") or "table")|e }}</td><td>{{ e.type|e }}</td>
<td>{{ e.why|e }}</td></tr>
{% endfor %}</tbody></table>
<p class="note">Rendered by Great Expectations {{ ge_version }}. Counts and shares only, no values.</p>
</body></html>
"""


def suite_page(suite: Suite, verdict: SuiteResult, judged: Sequence[ExpectationValidationResult]) -> str:
    """The page of one suite; the same results give the same page.

    Args:
        judged: Great Expectations' results that judged at least one value, in the order of the suite file.
    """
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
    return _template().render(document, suite=suite, verdict=verdict)


@cache
def _template() -> Template:
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView().env.from_string(_PAGE)
