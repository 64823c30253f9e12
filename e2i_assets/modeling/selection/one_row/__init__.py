"""The answer of a fitted pipeline to one row, without frames and checks, which cost a hundred times as much.

What the preprocessor learnt becomes plain arrays and tables; so do trees, all of a model as one table of
nodes, but for LightGBM's, which its library answers as quickly. A copy of this folder travels inside
every bundle beside `service.py`: it knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .transformation import no_form, transformation

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray
    Row = Mapping[str, float | bool | str | None]

TOLERANCE = 1e-6
"""By how much the two may differ: of a probability, or of a large value as a share of it."""


def compiled(pipeline: Any, method: str) -> Callable[[Row], Vector]:
    """What answers a row as `method` of the pipeline answers a frame of it.

    Args:
        pipeline: fitted; a `ColumnTransformer` of named columns, then an estimator.
        method: `predict_proba` or `predict`; of a causal learner `effect`.

    Returns:
        From named features, None where one is not known, to the prediction: shape (classes,) of
        probabilities, or (1,) of a value or an effect. It may be called by several threads at a time.

    Raises:
        NotImplementedError: a transformer or the estimator has no quick form.
    """
    (_, preprocessor), (_, estimator) = pipeline.steps if len(pipeline.steps) == 2 else no_form(pipeline)
    transform = transformation(preprocessor)
    answers = {"predict_proba": _probabilities, "predict": _value, "effect": _effect}
    answer = answers[method](estimator)
    return lambda row: answer(transform(row))


def asked(pipeline: Any, method: str) -> Callable[[Any], Vector]:
    """What answers a frame as `method`: the pipeline itself, or what its preprocessor and a causal learner,
    which is no estimator of scikit-learn's, do after each other.
    """
    if method != "effect":
        return getattr(pipeline, method)
    preprocessor, learner = pipeline[0], pipeline[-1]
    return lambda frame: learner.effect(preprocessor.transform(frame)).ravel()


def gap(alone: Vector, whole: Vector) -> float:
    """The largest difference between answers to rows alone and to all at once, as `TOLERANCE` has it."""
    import numpy as np

    return float((np.abs(alone - whole) / np.maximum(1.0, np.abs(whole))).max())


def _probabilities(classifier: Any) -> Callable[[Vector], Vector]:
    """From the preprocessor's outputs to the probability of each class."""
    import numpy as np

    if (kind := type(classifier).__name__) == "CalibratedClassifierCV":
        members = [_calibrated(member) for member in classifier.calibrated_classifiers_]
        return lambda x: np.sum([member(x) for member in members], axis=0) / len(members)
    if kind == "LogisticRegression":
        decision = _decision(classifier)
        return lambda x: (
            _both(_logistic(decision(x))) if len(classifier.classes_) == 2 else _softmax(decision(x))
        )
    known = {
        "XGBClassifier": _xgboost,
        "LGBMClassifier": _lightgbm,
        "RandomForestClassifier": _forest,
        "ExtraTreesClassifier": _forest,
    }
    tell = known.get(kind, no_form)(classifier)
    return lambda x: _both(given) if len(given := tell(x)) == 1 else given


def _value(regressor: Any) -> Callable[[Vector], Vector]:
    """From the preprocessor's outputs to the value, shape (1,)."""
    if (kind := type(regressor).__name__) == "TransformedTargetRegressor":
        inner, scaler = _value(regressor.regressor_), regressor.transformer_
        if type(scaler).__name__ != "StandardScaler":
            no_form(scaler)
        return lambda x: inner(x) * scaler.scale_ + scaler.mean_
    known = {
        "XGBRegressor": _xgboost,
        "LGBMRegressor": _lightgbm,
        "RandomForestRegressor": _forest,
        "ExtraTreesRegressor": _forest,
        "DummyRegressor": lambda model: lambda _: model.constant_.ravel(),
        **dict.fromkeys(("Ridge", "RidgeCV", "Lasso"), _decision),
    }
    return known.get(kind, no_form)(regressor)


def _effect(learner: Any) -> Callable[[Vector], Vector]:
    """From the preprocessor's outputs to the effect of a 0/1 treatment, shape (1,), as econml reckons it."""
    import numpy as np

    match type(learner).__name__:
        case "LinearDML":
            return _decision_of(learner.coef_, learner.intercept_)
        case "LinearDRLearner":
            return _decision_of(learner.coef_(T=1), learner.intercept_(T=1))
        case "TLearner":
            without, treated = (_value(model) for model in learner.models)
            return lambda x: treated(x) - without(x)
        case "XLearner":
            propensity = _probabilities(learner.propensity_models[0])
            of_control, of_treated = (
                _value(models[0]) for models in (learner.cate_controls_models, learner.cate_treated_models)
            )

            def weighed(x: Vector) -> Vector:
                chance = propensity(x)[-1:]
                return chance * of_control(x) + (1 - chance) * of_treated(x)

            return weighed
        case "CausalForestDML":
            moments = _leaves(
                learner.model_cate.estimators_[0].estimators_,
                lambda tree: np.hstack([tree.jac, tree.precond]),
                np.float64,
            )

            def solved(x: Vector) -> Vector:
                jacobian, alpha = np.split(moments(x), [4])
                return np.linalg.solve(jacobian.reshape(2, 2), alpha)[:1]

            return solved
    return no_form(learner)


def _decision_of(weights: Vector, intercept: Any) -> Callable[[Vector], Vector]:
    import numpy as np

    coefficients, constant = np.ravel(weights), np.ravel(intercept)
    return lambda x: coefficients @ x + constant


def _decision(linear: Any) -> Callable[[Vector], Vector]:
    import numpy as np

    weights, intercept = np.atleast_2d(linear.coef_), np.atleast_1d(linear.intercept_)
    return lambda x: weights @ x + intercept


def _both(positive: Vector) -> Vector:
    import numpy as np

    return np.concatenate([1 - positive, positive])


def _logistic(decision: Vector) -> Vector:
    from scipy.special import expit

    return expit(decision)


def _softmax(decision: Vector) -> Vector:
    import numpy as np

    powers = np.exp(decision - decision.max())
    return powers / powers.sum()


def _xgboost(model: Any) -> Callable[[Vector], Vector]:
    """The booster's trees as one table of nodes: asking the library takes five times as long."""
    import json

    import numpy as np

    booster = model.get_booster()
    if "best_iteration" in booster.attributes():
        booster = booster[: booster.best_iteration + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    facts, gradient = learner["learner_model_param"], learner["gradient_booster"]
    links = {
        "binary:logistic": _logistic,
        "multi:softprob": _softmax,
        "reg:squarederror": lambda margin: margin,
    }
    if gradient["name"] != "gbtree" or learner["objective"]["name"] not in links:
        no_form(model)
    link, trees = links[learner["objective"]["name"]], gradient["model"]["trees"]
    if any(any(tree["split_type"]) for tree in trees):  # by levels
        no_form(model)
    base = np.asarray(json.loads(facts["base_score"]), dtype=np.float32).reshape(1, -1)
    if link is _logistic:
        base = -np.log(1 / base - 1)  # told as a probability; as XGBoost has it, to the last digit

    def column(name: str, kind: Any) -> Vector:
        return np.concatenate([np.asarray(tree[name], dtype=kind) for tree in trees])

    sizes = [len(tree["left_children"]) for tree in trees]
    conditions = column("split_conditions", np.float32)
    leaves = _descend(
        column("split_indices", np.int64),
        np.nextafter(conditions, np.float32(-np.inf)),  # left is what is less, and not what is equal
        column("left_children", np.int64),
        column("right_children", np.int64),
        sizes,
        np.float32,
    )

    def tell(x: Vector) -> Vector:
        if np.isnan(x).any():  # each split has a side for what is missing
            return booster.inplace_predict(x.reshape(1, -1), validate_features=False).ravel()
        margins = conditions[leaves(x)].reshape(-1, base.shape[1])  # the trees of a round, one for each class
        return link(np.cumsum(np.concatenate([base, margins]), axis=0)[-1])

    return tell


def _lightgbm(model: Any, raw_score: bool = False) -> Callable[[Vector], Vector]:
    booster = model.booster_
    return lambda x: booster.predict(x.reshape(1, -1), raw_score=raw_score, num_threads=1).ravel()


def _forest(forest: Any) -> Callable[[Vector], Vector]:
    import numpy as np

    return _leaves(forest.estimators_, lambda tree: tree.value[:, 0, :], np.float32)


def _leaves(
    members: Sequence[Any], content: Callable[[Any], Vector], precision: Any
) -> Callable[[Vector], Vector]:
    """The mean over trees of what the leaf of a row has, from all trees as one table of nodes.

    Args:
        content: of the nodes of a tree, shape (nodes, values).
        precision: in which the trees compare.
    """
    import numpy as np

    trees = [member.tree_ for member in members]

    def column(name: str) -> Vector:
        return np.concatenate([getattr(tree, name) for tree in trees])

    leaves = _descend(
        column("feature"),
        column("threshold"),
        column("children_left"),
        column("children_right"),
        [tree.node_count for tree in trees],
        precision,
    )
    outcome = np.concatenate([content(tree) for tree in trees])
    # One after the other, as the libraries add them up: the last digit is the same.
    return lambda x: np.cumsum(outcome[leaves(x)], axis=0)[-1] / len(trees)


def _descend(
    feature: Vector, threshold: Vector, left: Vector, right: Vector, sizes: Sequence[int], precision: Any
) -> Callable[[Vector], Vector]:
    """From features to the leaf of each tree, as a row of the table of all nodes.

    Args:
        feature, threshold: of each node; a row goes left whose feature is not above it.
        left, right: nodes of the same tree, from 0 on; negative in a leaf.
        sizes: nodes of each tree.
        precision: in which features are compared: single by boosters and scikit-learn, double by econml.
    """
    import numpy as np

    nodes, roots = np.arange(len(left)), np.cumsum([0, *sizes])[:-1]
    first, leaf = np.repeat(roots, sizes), left < 0
    # A leaf is its own child, so that all can go down equally far.
    child = np.where(leaf[:, None], nodes[:, None], np.column_stack([right, left]) + first[:, None]).ravel()
    feature = np.where(leaf, 0, feature)
    depth, reached = 0, roots
    while not leaf[reached].all():
        depth, reached = depth + 1, np.unique(child.reshape(-1, 2)[reached])

    def leaves(x: Vector) -> Vector:
        compared, node = x.astype(precision), roots
        for _ in range(depth):
            node = child[2 * node + (compared[feature[node]] <= threshold[node])]
        return node

    return leaves


def _calibrated(member: Any) -> Callable[[Vector], Vector]:
    """One classifier of a `CalibratedClassifierCV` with its calibrators, one for each class or the second."""
    import numpy as np

    inner = member.estimator
    while type(inner).__name__ == "FrozenEstimator":
        inner = inner.estimator
    calibrators = [_calibrator(calibrator) for calibrator in member.calibrators]
    if hasattr(inner, "decision_function"):  # which scikit-learn prefers
        decisions: dict[str, Any] = {
            "LogisticRegression": _decision,
            "LGBMClassifier": partial(_lightgbm, raw_score=True),
        }
        raw = decisions.get(type(inner).__name__, no_form)(inner)
    else:
        raw = _probabilities(inner)

    def tell(x: Vector) -> Vector:
        given = raw(x)
        if len(calibrators) == 1:
            return np.minimum(_both(calibrators[0](given[-1:])), 1.0)
        scaled = np.concatenate([c(given[i : i + 1]) for i, c in enumerate(calibrators)])
        total = scaled.sum()
        return scaled / total if total else np.full(len(scaled), 1 / len(scaled))

    return tell


def _calibrator(calibrator: Any) -> Callable[[Vector], Vector]:
    import numpy as np

    match type(calibrator).__name__:
        case "_SigmoidCalibration":
            return lambda given: _logistic(-(calibrator.a_ * given + calibrator.b_))
        case "IsotonicRegression":
            known, fitted = calibrator.X_thresholds_, calibrator.y_thresholds_
            return lambda given: np.interp(given, known, fitted)
    return no_form(calibrator)
