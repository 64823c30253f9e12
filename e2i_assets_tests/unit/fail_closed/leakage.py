"""Fail closed: the gates of the leakage audit."""

from __future__ import annotations

from e2i_assets_tests.unit.fail_closed import Cases

CASES: Cases = {}
