"""The model registry: stages, the rules of `config/mlflow/mlflow.yaml`, and what a ledger amounts to.

Where versions and ledger are kept is not known here (`resources.model_registry` does).
"""

from e2i_assets.registry.connector import MLflowConnector

__all__ = ["MLflowConnector"]
