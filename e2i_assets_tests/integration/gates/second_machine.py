"""A process that runs the partition as another machine does: `python -m …second_machine`, all in its environment."""

from __future__ import annotations

import json
import sys

from e2i_assets.settings import settings
from e2i_assets.stages.display import REUSED
from e2i_assets.warehouse.postgres import export
from e2i_assets_tests.integration.gates.partition import checks, run


def main() -> None:
    export(settings())
    result = run(settings(), "*")
    made = {
        "/".join(event.asset_key.path): event.materialization.metadata[REUSED].value
        for event in result.get_asset_materialization_events()
    }
    sys.stdout.write(json.dumps({"success": result.success, "made": made, "checks": checks(result)}))


if __name__ == "__main__":
    main()
