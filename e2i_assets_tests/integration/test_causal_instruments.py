"""Effects by instruments: right where a confounder is hidden, silent where the instruments cannot tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal import EffectReport, estimate_effect, love_plot, refute
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.instruments import Residuals, anderson_rubin_set, two_stage


def hidden(seed: int, *, strength: float = 2.0, direct: float = 0.0, rows: int = 800) -> pd.DataFrame:
    """Effect 1 of `t` on `y`, both moved by what no column has; `z` by lot given `x`, `w` by lot."""
    rng = np.random.default_rng(seed)
    x, u, w = rng.normal(size=(3, rows))
    z = rng.binomial(1, 1 / (1 + np.exp(-x)))
    dose = strength * z + strength * w / 2 + x / 2 + u + rng.normal(size=rows)
    treated = (dose > strength / 2).astype(int)
    noise = x + 1.5 * u + direct * w + rng.normal(size=rows)
    return pd.DataFrame(
        {"x": x, "z": z, "w": w, "t": treated, "dose": dose, "y": treated + noise, "v": dose + noise}
    )


def ask(frame: pd.DataFrame, instruments: list[str] | None, **changed: str) -> EffectReport:
    asked = {"treatment": "t", "outcome": "y"} | changed
    return estimate_effect(frame, covariates=["x"], instruments=instruments, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instruments", "changed"),
    [(["z"], {}), (["z", "w"], {}), (["w"], {"treatment": "dose", "outcome": "v"})],
)
def test_it_covers_the_truth_with_a_confounder_hidden(
    instruments: list[str], changed: dict[str, str]
) -> None:
    reports = [ask(hidden(seed), instruments, **changed) for seed in range(4)]
    effects = [report.effect for report in reports if report.effect]
    assert {report.estimand for report in reports} == {"late"}
    assert sum(effect.low <= 1 <= effect.high for effect in effects) >= 3
    assert abs(np.mean([effect.estimate for effect in effects]) - 1) < 0.3
    assert any("exclusion" in note for note in reports[0].notes)
    (balance,) = reports[0].balance
    assert abs(balance.after) < 0.1
    assert abs(balance.before) > 0.3 or "z" not in instruments
    assert love_plot(reports[0]) is not None
    with pytest.raises(CausalDataError, match="told by instruments"):
        refute(hidden(0), reports[0])


@pytest.mark.parametrize(("outcome", "kind"), [("started", "binary"), ("visits", "count")])
def test_risks_and_counts_have_an_effect_on_compliers(outcome: str, kind: str) -> None:
    """The truth is the mean over those whom the instrument moves, by how much of it is open."""
    rng = np.random.default_rng(3)
    x, u, v, e = rng.normal(size=(4, 1500))
    chance = 1 / (1 + np.exp(-x))
    z = rng.binomial(1, chance)
    without, given = (np.where(1.6 * lot - 0.8 + x / 2 + u + v > 0, 1, 0) for lot in (0, 1))
    t = np.where(z == 1, given, without)
    started = [0.5 * x + u + 0.8 * arm + e > 0.4 for arm in (0, 1)]
    visits = [np.exp(0.2 * x + 0.3 * u + 0.4 * arm) for arm in (0, 1)]
    true = np.subtract(*(np.array(arms, float) for arms in (started if kind == "binary" else visits)[::-1]))
    frame = pd.DataFrame(
        {"x": x, "z": z, "t": t, "started": np.where(t == 1, started[1], started[0]),
         "visits": rng.poisson(np.where(t == 1, visits[1], visits[0]))}
    )  # fmt: skip
    report = ask(frame, ["z"], outcome=outcome)
    assert report.outcome_kind == kind
    assert report.effect is not None
    truth = np.average(true, weights=chance * (1 - chance) * (given - without))
    assert report.effect.low < truth < report.effect.high < report.naive.high  # type: ignore[union-attr]
    assert report.naive.low > truth  # type: ignore[union-attr]


def test_adjustment_alone_misses_it() -> None:
    effect = ask(hidden(0), None).effect
    assert effect is not None
    assert effect.low > 1.5


@pytest.mark.parametrize(
    ("made", "instruments", "reason"),
    [({"strength": 0.0}, ["z"], "weak_instruments"), ({"direct": 2.0}, ["z", "w"], "instruments_disagree")],
)
def test_it_is_silent(made: dict[str, float], instruments: list[str], reason: str) -> None:
    report = ask(hidden(0, **made), instruments)  # type: ignore[arg-type]
    assert (report.status, report.reason) == ("not_identified", reason)
    assert (report.effect, report.naive, report.ratio, report.att) == (None, None, None, None)


def test_one_instrument_has_a_closed_form() -> None:
    """Wald's ratio, and the roots of a quadratic: the interval of Anderson and Rubin."""
    y, t, z = hidden(1)[["y", "t", "z"]].sub(hidden(1)[["y", "t", "z"]].mean()).to_numpy(float).T
    rest = Residuals(y, t, z[:, None])
    estimate, error = two_stage(rest)
    assert estimate == pytest.approx(z @ y / (z @ t))
    most = 3.841458820694124
    a, b = z * y, z * t
    roots = np.roots(
        [b.sum() ** 2 - most * b @ b, -2 * (a.sum() * b.sum() - most * a @ b), a.sum() ** 2 - most * a @ a]
    )
    grid = estimate + error * np.linspace(-20, 20, 401)
    assert anderson_rubin_set(rest, grid) == pytest.approx(tuple(sorted(roots)))


def test_the_order_of_rows_does_not_matter() -> None:
    frame = hidden(2, rows=400).round(1)
    one, other = (ask(rows, ["z"]).effect for rows in (frame, frame.sample(frac=1, random_state=1)))
    assert one is not None
    assert other is not None
    assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))
