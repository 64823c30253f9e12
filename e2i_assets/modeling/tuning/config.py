"""`config/optuna_config.yaml`: how trials are proposed, given up, limited and warm-started.

Only what can be kept is accepted. CMA-ES needs a package that is not among ours, and a grid needs finite
choices, which continuous ranges are not: both are refused, with the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from e2i_assets.config_files import ConfigModel
from e2i_assets.modeling.config import YamlModel

if TYPE_CHECKING:
    import optuna


class _Choice(ConfigModel):
    """One of several kinds by `name`, each with settings of its own; those of another kind are refused."""

    settings: ClassVar[Mapping[str, tuple[str, ...]]]
    name: str

    @model_validator(mode="after")
    def _own_settings(self) -> Self:
        own = self.settings[self.name]
        if foreign := sorted(self.model_fields_set - {"name", *own}):
            raise ValueError(f"{self.name} has no {', '.join(foreign)}; it has {', '.join(own) or 'none'}")
        return self

    def chosen(self) -> dict[str, Any]:
        """The settings of the chosen kind."""
        return {setting: getattr(self, setting) for setting in self.settings[self.name]}


class SamplerConfig(_Choice):
    """How trials are proposed; `seed` makes the study, and every model in it, reproducible."""

    settings: ClassVar = {"tpe": ("seed", "n_startup_trials", "multivariate"), "random": ("seed",)}

    name: Literal["tpe", "random"] = "tpe"
    seed: int = Field(default=42, ge=0, lt=2**32)
    n_startup_trials: int = Field(default=10, ge=1)
    multivariate: bool = True

    def build(self) -> optuna.samplers.BaseSampler:
        """A sampler of Optuna's kind."""
        from optuna.samplers import RandomSampler

        from e2i_assets.modeling.tuning.parzen import ParzenSampler

        return {"tpe": ParzenSampler, "random": RandomSampler}[self.name](**self.chosen())


class PrunerConfig(_Choice):
    """When a boosting trial is given up. A step is five boosting rounds; it is asked after every second one.

    `median`: below the median of the earlier ones at the same step. Giving up much earlier favours large
    learning rates, which are ahead at first and behind in the end. `successive_halving`: at rungs of steps,
    each `reduction_factor` times the one before, the best share goes on; `hyperband`: that in brackets which
    start at different steps; `none`: never.
    """

    settings: ClassVar = {
        "median": ("n_startup_trials", "n_warmup_steps"),
        "successive_halving": ("min_resource", "reduction_factor", "min_early_stopping_rate"),
        "hyperband": ("min_resource", "max_resource", "reduction_factor"),
        "none": (),
    }

    name: Literal["median", "successive_halving", "hyperband", "none"] = "median"
    n_startup_trials: int = Field(default=5, ge=0)
    n_warmup_steps: int = Field(default=10, ge=0)
    min_resource: int = Field(default=1, ge=1)
    max_resource: int = Field(default=100, ge=1)
    reduction_factor: int = Field(default=3, ge=2)
    min_early_stopping_rate: int = Field(default=0, ge=0)

    def build(self) -> optuna.pruners.BasePruner:
        """A pruner of Optuna's kind."""
        from optuna import pruners

        from e2i_assets.modeling.tuning.median import MedianPruner

        kinds = {
            "median": MedianPruner,
            "successive_halving": pruners.SuccessiveHalvingPruner,
            "hyperband": pruners.HyperbandPruner,
            "none": pruners.NopPruner,
        }
        return kinds[self.name](**self.chosen())


class OptimizationConfig(ConfigModel):
    """How long, and how many trials at a time.

    Attributes:
        n_trials: at most so many are proposed.
        timeout: seconds after which nothing new is begun; the history then depends on the machine.
        budget_fits: the same in multiples of the work of one fit of the defaults on all rows, counted in
            rows times boosting rounds, so that it is the same on every machine.
        n_jobs: trials that are proposed together. They run side by side where cores are free, or over a Dask
            cluster; the history depends on this number alone, not on how many really ran at once.
    """

    n_trials: int = Field(default=50, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    budget_fits: float | None = Field(default=None, ge=1)
    n_jobs: int = Field(default=1, ge=1)


class WarmStartConfig(ConfigModel):
    """Whether parameters of earlier, similar studies are tried first, and which count as similar."""

    enabled: bool = True
    min_similarity: float = Field(default=0.7, ge=0, le=1)
    max_trials_to_import: int = Field(default=20, ge=0)


class OptunaConfig(YamlModel):
    """`config/optuna_config.yaml`."""

    sampler: SamplerConfig = SamplerConfig()
    pruner: PrunerConfig = PrunerConfig()
    optimization: OptimizationConfig = OptimizationConfig()
    warm_start: WarmStartConfig = WarmStartConfig()
