"""The 27 items of TRIPOD+AI, answered from records where they can be.

Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement. BMJ 385:e078378, 2024. What no record tells is
left open by the name of what is wanted: no sentence is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ITEMS: Mapping[str, tuple[str, str]] = {
    "1": ("Title", "the study as development or evaluation, its population and its outcome"),
    "2": ("Abstract", "an abstract by the checklist TRIPOD+AI for Abstracts"),
    "3a": ("Background", "healthcare context, rationale and existing models"),
    "3b": ("Background", "place in the care pathway, and who will use it"),
    "3c": ("Background", "known health inequalities between groups"),
    "4": ("Objectives", "the objectives of the study"),
    "5a": ("Data", "sources, why they were used, and whom they represent"),
    "5b": ("Data", "dates of accrual and of the end of follow-up"),
    "6a": ("Participants", "setting, number and location of centres"),
    "6b": ("Participants", "eligibility criteria"),
    "6c": ("Participants", "treatments received, and how they were handled"),
    "7": ("Data preparation", "preprocessing and quality checks"),
    "8a": ("Outcome", "definition, time horizon, and how it was assessed"),
    "8b": ("Outcome", "who assessed it, where that takes judgement"),
    "8c": ("Outcome", "blinding of its assessment"),
    "9a": ("Predictors", "how predictors were chosen"),
    "9b": ("Predictors", "definition of each, how and when measured"),
    "9c": ("Predictors", "who assessed them, where that takes judgement"),
    "10": ("Sample size", "how it was arrived at, and why it is enough"),
    "11": ("Missing data", "how missing values were handled"),
    "12a": ("Analytical methods", "how data were used and divided"),
    "12b": ("Analytical methods", "how predictors were transformed"),
    "12c": ("Analytical methods", "type of model, how it was chosen, tuned and validated"),
    "12d": ("Analytical methods", "heterogeneity across centres or countries"),
    "12e": ("Analytical methods", "measures and plots of performance"),
    "12f": ("Analytical methods", "model updating"),
    "12g": ("Analytical methods", "how predictions were calculated for evaluation"),
    "13": ("Class imbalance", "methods for it, and recalibration"),
    "14": ("Fairness", "approaches to fairness, and why"),
    "15": ("Model output", "output and thresholds"),
    "16": ("Training versus evaluation", "differences between the data of development and of evaluation"),
    "17": ("Ethical approval", "committee, and consent or waiver"),
    "18a": ("Funding", "sources of funding and their role"),
    "18b": ("Conflicts of interest", "interests of all authors"),
    "18c": ("Protocol", "where the study protocol can be read"),
    "18d": ("Registration", "register and number"),
    "18e": ("Data sharing", "availability of the data"),
    "18f": ("Code sharing", "availability of the analytical code"),
    "19": ("Patient and public involvement", "involvement, or that there was none"),
    "20a": ("Participants", "flow of participants, with and without the outcome"),
    "20b": ("Participants", "characteristics, and missing values"),
    "20c": ("Participants", "comparison of development and evaluation data"),
    "21": ("Model development", "participants and events of each analysis"),
    "22": ("Model specification", "what it takes to predict for a new patient"),
    "23a": ("Model performance", "estimates with intervals, subgroups and plots"),
    "23b": ("Model performance", "heterogeneity across centres"),
    "24": ("Model updating", "results of updating"),
    "25": ("Interpretation", "main results in the light of objectives, fairness and other studies"),
    "26": ("Limitations", "limitations of the study"),
    "27a": ("Usability", "what is done with poor or missing input"),
    "27b": ("Usability", "what users do, and what they need to know"),
    "27c": ("Usability", "next steps of research"),
}
"""Number of each item, its topic, and what it asks for."""

OPEN = "to be filled by the study team: "


@dataclass(frozen=True)
class Item:
    """One item: what the records say, or None, and then it is open by the name of what is asked for."""

    number: str
    topic: str
    asked: str
    answer: str | None

    @property
    def text(self) -> str:
        """The answer, or what is to be filled."""
        return f"{OPEN}{self.asked}" if self.answer is None else self.answer


def checklist(answers: Mapping[str, str | None]) -> tuple[Item, ...]:
    """Every item in its order; those without an answer are open.

    Raises:
        ValueError: an answer to an item that there is none of.
    """
    if unknown := sorted(set(answers) - set(ITEMS)):
        raise ValueError(f"TRIPOD+AI has no item {', '.join(unknown)}")
    return tuple(Item(n, topic, asked, answers.get(n)) for n, (topic, asked) in ITEMS.items())
