"""What the audit knows of names and of words for values, in one place; rules compile their patterns from it.

Names are compared in lower case, their words joined by `_` (`name_rules.squeezed`). In these lists a `?` says
that the letter before it may be missing, a `*` stands for any ending.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def either(words: tuple[str, ...]) -> str:
    """One group of a regular expression for any of these words."""
    return "(" + "|".join(word.replace("*", r"\w*") for word in words) + ")"


# History, and what was there before

HISTORY = _words(
    "prior previous previously prev past before pre history hist family fam parental mother father "
    "baseline base bl lag lagged since ago initial first expected planned predicted scheduled onset "
    "estimated ever"
)
HISTORY_PREFIX = "lag"
STARTS = _words("start started began begin entry admission enrolment enrollment birth born dob age")
EARLY = _words("baseline bl pre before start admission adm screening entry")
"""Of repeated measures the first."""
LATE = _words("post after final end followup fu endpoint discharge exit")
VISITS = _words("w wk week weeks m mo month months v visit t day d")
"""Before the number of a visit."""

# Times

UNITS = _words("time days? weeks? months? years? yrs? hours? in_days in_months in_years")
TIME_UNITS = _words("days weeks months years yrs hours")
"""A mere unit, of which nobody knows what it counts."""
DATES = _words("date dt")
UNTIL = _words("to until till of")
SURVIVAL = _words("surv survival")
ENDS = _words(
    "event death dead died decease relapse recur recurrence rec progression failure fail censor* cens "
    "exit readmission churn conversion outcome endpoint discharge disch remission metastasis termination "
    "cancell?ation resignation closure withdrawal drop_?out default hospitalisation hospitalization "
    "transplant last_contact last_observation last_seen last_alive last_known_alive last_follow_?up "
    "last_fu fu follow_?up"
)
"""What ends a follow-up."""
ENDPOINTS = _words("os pfs dfs efs rfs mfs tfs dss css pfi dfi ttp ttr tte ttf")
ENDPOINT_UNITS = _words("time days weeks months years yrs")
FREE = _words("time interval survival days weeks months years status")
"""After `relapse_free`."""
FOLLOW_UPS = _words("follow_?up fu_?time lenfol lenfup survival tte ttp ttr dod date_of_death")
LAST = _words("observ* contact seen known_alive alive follow_?up fu")
LAST_SEEN = _words("observ contact seen alive known")
"""Which say so even in a name that speaks of history, as `first_diagnosis_to_last_contact` does."""
CLOSES = _words("end stop exit close closed termination cancellation churn")
CLOSED_AT = _words("date time dt at")
STAYS = _words(
    "los length_?of_?stay len_?of_?stay hosp_days hosp_stay hosp_los hospital_days hospital_stay "
    "hospital_los icu_days icu_stay icu_los days_in_hosp days_in_hospital days_in_icu stay_in_hosp "
    "stay_in_hospital stay_in_icu"
)
STAY = _words("los stay hosp hospital icu")
DISCHARGE, READMISSION = "discharge", "readm"
"""A discharge is the index date of a readmission."""
DURATION = _words(
    "t time times days weeks months years yrs hours duration durat stop tstop exit end futime rtime dtime "
    "stime ftime etime"
)
LINKS = _words("in of d os e n num diff total obs observation call contact talk")
"""Beside a duration in its name."""
TARGET_LINKS = _words("to until till at")
"""Between a time and the target's own name."""
INTERVALS = (("start", "stop"), ("start", "end"), ("begin", "end"), ("entry", "exit"))
MARKERS = {
    "time": _words("time days months weeks years date dt"),
    "flag": _words("status stat event ind censor cens delta"),
}
"""Of an event's time and its indicator, before or after what their names share; the longer first."""
MARKER_LETTERS = {"time": ("t", "t"), "flag": ("de", "des")}
"""The same as one letter, before and after."""

# Events

EVENTS = _words(
    "death dead died mortality deceased survived alive relapsed recurred progressed cens censor censored "
    "censrec censdead hosp_?dead hosp_?death hosp_?mort hosp_?mortality icu_?dead icu_?death icu_?mort "
    "icu_?mortality readmitted readmission drop_?out dropped_out withdrawn? withdrewn? discontinued "
    "off_?trt off_?treatment off_?study lost_to_follow_?up ltfu churned converted yr_?dth mo_?dth da_?dth "
    "y_?dth m_?dth d_?dth"
)
ANY_EVENT = _words("event endpoint outcome")
EVENT_OF = _words("primary secondary final clinical study death os pfs dfs efs ffs rfs")
OUTCOME_OF = _words(
    "birth pregnancy treatment surgery surgical procedure episode visit case claim call functional"
)
FILLER = _words(
    "is has had was flag ind indicator any yn patient subject overall all cause in hospital at during by "
    "within the of d day days month months year years m y"
)
"""Left out of an event's name."""
INDICATOR_LETTERS = _words("d e c")
SURVIVAL_TARGETS = _words(
    "event status delta e d c observed cens* death dead died? deceased mortality alive vital survived "
    "survival fail failed failure relapsed? recur recurred recurrence progressed progression div "
    "divorced? arrest os pfs rfs dfs efs mfs"
)
EVENT_VALUES = _words(
    "alive living live surviv* dead death died die deceased cens* event failed failure relapse* recur* "
    "progress* remission lost withdr* transplant* yes no y n true false t f"
)
"""Values of a target that is an event or its absence."""

# What is written down when it is over

AFTERMATH = _words(
    "recoveries recovered collection_recovery_fee total_pymnt* total_rec_* last_pymnt* out_prncp* "
    "paid_total paid_principal paid_interest paid_late_fees? principal_paid interest_paid late_fees? "
    "next_pymnt* next_payment* settlement* cha?r?ge?_?off* write_?off* reservation_status* lead_status "
    "exit_interview exit_survey resolution* refund* claim_paid claim_settled claim_amount_paid autopsy* "
    "cause_of_death death_cause cod"
)
AFTERMATH_ALONE = _words("reason disposition")
AFTERMATH_FIRST = _words("final subsequent")
AFTERMATH_LAST = _words("after afterwards")
REASONED = _words("cancel* churn term termination discontinuation withdrawal exit death closing close")
REASONS = _words("reason category score code type cause")
REASON_FOR = _words("cancel* churn leaving termination stop* disc*")
AT = _words("discharge outcome death exit end_?point relapse recurrence event")
AFTER = _words("after post")
AFTER_WHAT = _words("index baseline discharge outcome event enroll?ment")
OF_DISCHARGE = _words("date disposition status destination location weight time")

# Who

KEYS = _words("id key no nr number code npi")
PATIENTS = _words("patient pt subject person member beneficiary")
PATIENT_IDS = _words("patient_?id patient_?nr patient_?no u?subj_?id patid patnr patno mrn")
HCPS = _words("hcp physician provider prescriber doctor clinician")
HCP_IDS = _words("npi")

# Dates

MONTHS = _words("jan feb mar apr may jun jul aug sep oct nov dec")
NOTHING = ("", *_words("- . na n/a nan nat none null unknown missing"))
"""Texts for a date that is not there."""
YEAR_NAMES = _words("year yr yyyy")
TIMESTAMP_NAMES = _words("date time timestamp ts epoch at dt when seen")
