"""What can go wrong between features and an evaluated model, as types a caller can tell apart."""

from e2i_assets.errors import E2IError


class ModelingError(E2IError, ValueError):
    """Base of all errors of this package."""

    code = "modeling"


class ConfigError(ModelingError):
    """A configuration file is missing, unreadable or has a wrong key; the message names file and key."""

    code = "model_config"
    next_step = "Correct the file that the message names."


class SplitError(ModelingError):
    """Patients cannot be assigned to splits; the message names the column and how many rows.

    `code` is the kind of refusal, such as `too_few_patients` or `order_against_stability`.
    """

    code = "bad_assignments"


class TrainingDataError(ModelingError):
    """Features or target cannot be modelled; the message names the split and the columns."""

    code = "training_data"


MORE_OF_THE_RARER = (
    "Load more patients, or widen the cohort by its criteria: more must have the rarer outcome."
)


class NoCandidateError(ModelingError):
    """No registered algorithm meets the scope; the message says what excluded each."""

    code = "no_candidate"
    next_step = "Loosen `selection` in the scope file, or the constraints of the request."


class TuningError(ModelingError):
    """A trial failed, or no trial finished; there is no best trial to speak of."""

    code = "tuning"
    next_step = "Correct the search space in config/optuna_config.yaml, or give the study more time."


class ModelFileError(ModelingError):
    """A saved model is incomplete, or is not the one its record describes."""

    code = "model_file"
    next_step = "Remove its folder and train the model again."


class ServedModelError(ModelingError):
    """A pipeline does not answer as its problem type does; no bundle can be made of it."""

    code = "served_model"
    next_step = "Train the model again, or report a fault of its problem type."
