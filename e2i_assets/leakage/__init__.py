"""Does a training frame know what it should not? Temporal, target and contamination leakage, each a finding.

The contract is asked first, the data second: what is known only afterwards is refused even where it says
little.
"""

from e2i_assets.leakage.audit import audit_leakage
from e2i_assets.leakage.findings import Finding, LeakageError, LeakageReport
from e2i_assets.leakage.view import Plausible

__all__ = ["Finding", "LeakageError", "LeakageReport", "Plausible", "audit_leakage"]
