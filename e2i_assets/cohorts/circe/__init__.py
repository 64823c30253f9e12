"""OHDSI's cohort definitions (Circe, as ATLAS exports them) as a cohort file and the mapping of a CDM.

What neither can express is refused by name; nothing of a definition is passed over in silence.
"""

from e2i_assets.cohorts.circe.definition import Definition, import_definition
from e2i_assets.cohorts.circe.document import CirceError

__all__ = ["CirceError", "Definition", "import_definition"]
