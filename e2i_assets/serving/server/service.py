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
        from e2i_assets.serving.server.running import Service

        models = [Model(member, HERE) for member in RELEASE["members"]]
        active, shadows = ([one for one in models if one.role == role] for role in ("active", "shadow"))
        self.running = Service(RELEASE["service"], RELEASE["release"], active, shadows)
        _APP.state.service = self.running

    @bentoml.on_shutdown
    def close(self) -> None:
        """Once the last request is answered: write down what waits."""
        self.running.close()
