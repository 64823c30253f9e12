"""The service as BentoML runs it; in a bundle it lies beside `release.json` and the folder of its models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml
from starlette.applications import Starlette

from e2i_assets.serving.server.release import read_release
from e2i_assets.serving.server.routes import routes

HERE = Path(__file__).parent
RELEASE: dict[str, Any] = read_release(HERE)
_EFFECTS = RELEASE["service"] == "causal-service"
_APP = Starlette(routes=routes(effects=_EFFECTS))


@bentoml.asgi_app(_APP)
@bentoml.service(
    name=RELEASE["service"],
    # Counters and the five minutes of health are those of one process.
    workers=1,
    resources={"cpu": "4", "memory": "8Gi"} if _EFFECTS else {"cpu": "2", "memory": "4Gi"},
    # Each of these costs as much per request as a prediction; what they tell, our own metrics do.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
    http={"host": "127.0.0.1"},
    # Becomes a variable of the container image only: there, the loopback interface would reach nobody.
    envs=[{"name": "BENTOML_HOST", "value": "0.0.0.0"}],
)
class PredictionService:
    """Answers named features with predictions."""

    def __init__(self) -> None:
        # By the workers only: the process that supervises them reads this file for its routes.
        from e2i_assets.serving.server.model import Model
        from e2i_assets.serving.server.routes import Service

        models = [Model(member, HERE) for member in RELEASE["members"] if member["role"] == "active"]
        _APP.state.service = Service(RELEASE["service"], RELEASE["release"], models)
