"""What can go wrong between features and an evaluated model, as types a caller can tell apart."""


class ModelingError(ValueError):
    """Base of all errors of this package."""


class ConfigError(ModelingError):
    """A configuration file is missing, unreadable or has a wrong key; the message names file and key."""


class SplitError(ModelingError):
    """Patients cannot be assigned to splits; the message names the column and how many rows.

    Attributes:
        code: the kind of refusal, such as `too_few_patients` or `order_against_stability`.
        next_step: what to do about it.
    """

    def __init__(self, message: str, code: str = "bad_assignments", next_step: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.next_step = next_step


class TrainingDataError(ModelingError):
    """Features or target cannot be modelled; the message names the split and the columns.

    Attributes:
        next_step: what to do about it.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step


MORE_OF_THE_RARER = (
    "Load more patients, or widen the cohort by its criteria: more must have the rarer outcome."
)


class NoCandidateError(ModelingError):
    """No registered algorithm meets the scope; the message says what excluded each."""


class TuningError(ModelingError):
    """A trial failed, or no trial finished; there is no best trial to speak of."""


class ModelFileError(ModelingError):
    """A saved model is incomplete, or is not the one its record describes."""


class ServedModelError(ModelingError):
    """A pipeline does not answer as its problem type does; no bundle can be made of it."""
