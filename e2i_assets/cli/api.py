"""`e2i api`: the operations API, until it is interrupted."""

from __future__ import annotations

import signal
import sys

from starlette.middleware import Middleware

from e2i_assets.cli.output import say
from e2i_assets.cli.own_site import OwnSite
from e2i_assets.cli.ports import listen
from e2i_assets.cli.session import open_session


def run_api() -> int:
    """Serve until interrupted.

    Raises:
        PortUnavailable: something else listens there.
    """
    import uvicorn

    from e2i_assets.api.app import operations_api

    # uvicorn, once it has ended, hands the signal on, and by itself that ends Python without its last words:
    # the embedded PostgreSQL would be left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    here, warehouse = open_session()
    host, port = here.serving_host, here.api_port
    listening = listen(host, port, "Stop what listens there, or set E2I_API_PORT to another.")
    app = operations_api(here, warehouse, [Middleware(OwnSite, host)])
    changes = "" if here.api_token else "; without E2I_API_TOKEN it changes nothing"
    say(f"operations API: http://{host}:{port}/docs{changes}")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run([listening])
    return 0
