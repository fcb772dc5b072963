"""The sentences under a sweep's tables: what was averaged, and what can't be concluded."""

from __future__ import annotations

from typing import Any

import pandas as pd

from meddistill.evaluation.choice import ALONE
from meddistill.evaluation.surface import SPLIT, Surface, finished
from meddistill.evaluation.thresholds import as_given
from meddistill.report.tables import meaning

MOST_JOBS = 5
"""Named in a note on failures."""
CORRECTED = "widened because the splits share patients (Nadeau and Bengio 2003)"
ONE_SPLIT = (
    "All students share one split of the patients, so nothing here tells how results vary with "
    f"other patients. Several splits do, such as '{SPLIT}=range(0,10)'."
)


def settings_notes(found: Surface, frame: pd.DataFrame, most: int) -> list[str]:
    """Under the table of settings."""
    hidden = len(found.table) - most
    return [
        *([f"{counted(hidden, 'more setting')} in sweep.csv."] if hidden > 0 else []),
        f"Sorted by mean {head(found.monitor)}. {_averaged(found)}",
        *_lacking(found, frame),
        *_error(found),
        *_told(found),
        *_winner(found),
        *_other_monitors(finished(frame), found),
        *_meanings(finished(frame)),
        *failure_notes(frame),
    ]


def choice_notes(found: Surface) -> list[str]:
    """Under the table of choosing."""
    choice, settings = found.choice, len(found.table)
    if settings == 1:
        return ["There is one setting: nothing was chosen.", *_choice_error(found)]
    each = "In each split" if found.splits > 1 else "In the only split"
    notes = [
        f"{each} the setting with the best {head(found.monitor)} was chosen, and looked at on that "
        "split's test rows, which had no say in it: this is what to expect of a chosen setting.",
        f"'Taken blindly' is the mean over all {settings} settings.",
    ]
    if found.splits > 1:
        different = counted(len(set(choice.taken)), "different setting")
        notes.append(f"The {len(choice.taken)} splits chose {different}.")
    if choice.alone:
        splits = f"{choice.alone_taken} of {counted(found.splits, 'split')}"
        notes.append(f"'Chosen' may be a {ALONE}: it was in {splits}.")
    if choice.alone and settings > 2:
        notes.append("A name with '(chosen)' was chosen among the settings of that name alone.")
    return [*notes, *_choice_error(found)]


def matrix_notes(found: Surface, shown: int) -> list[str]:
    """Under the matrix."""
    outside = len(found.table) - shown
    return [
        "* the best setting, and those that can't be told from it.",
        *([f"{counted(outside, 'setting')} without both axes not shown."] if outside else []),
    ]


def failure_notes(frame: pd.DataFrame) -> list[str]:
    """Failed students, or whole jobs of them, by their error, and students without a score."""
    done = finished(frame)
    failed = frame[frame["status"] != "completed"].reindex(columns=["job", "member", "error"])
    errors = failed["error"].fillna("no error was recorded")
    alone = failed["member"].notna().map({True: "student", False: "job"})
    notes = [
        f"{counted(len(rows), str(noun))} failed{_jobs(rows)}: {error}"
        for (error, noun), rows in failed.groupby([errors, alone], sort=False)
    ]
    blank = done[done.reindex(columns=["score"])["score"].isna()]
    if len(blank):
        notes.append(f"{counted(len(blank), 'student')} finished without a score{_jobs(blank)}.")
    return notes


def head(monitor: str) -> str:
    """A monitor in words."""
    return monitor.replace("/", " ").replace("_", " ")


def cell(value: Any) -> str:
    """An axis's value as text; empty where the axis doesn't apply."""
    if value is None or value != value:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(count: int, noun: str) -> str:
    """Such as '1 split' and '2 splits'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _averaged(found: Surface) -> str:
    if not found.replicates:
        return "Each setting is one student."
    seeds = " and ".join(axis for axis in found.replicates if axis != SPLIT)
    unequal = found.seeds > 1 and found.table["students"].nunique() > 1
    students = f"{'up to ' if unequal else ''}{counted(found.seeds, 'student')}"
    return (
        f"Each setting is the mean over {counted(found.splits, 'split')} of the patients with "
        f"{students} each{f' (differing in {seeds})' if seeds else ''}."
    )


def _lacking(found: Surface, frame: pd.DataFrame) -> list[str]:
    """Settings with fewer splits or seeds than others, and why they have fewer."""
    lacking = found.table[found.table["repeats"] < found.table["repeats"].max()]
    if lacking.empty:
        return []
    axes, what = list(found.settings), "splits" if found.repeats_of == SPLIT else "seeds"
    failed = frame.loc[frame["status"] != "completed", axes]
    # A job that failed before its students were known lacks their axes: it may be of any value.
    of_failed = sum(
        bool((failed.eq(line) | failed.isna()).all(axis=1).any())
        for _, line in lacking[axes].iterrows()
    )
    reasons = {"with failed students": of_failed, "not run with all": len(lacking) - of_failed}
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return [
        f"{counted(len(lacking), 'setting')} without all {what} at the end ({why}): such a mean is "
        "not of the same students as the others."
    ]


def _error(found: Surface) -> list[str]:
    """What the standard error covers."""
    repeats = int(found.table["repeats"].max())
    if found.repeats_of is None or repeats < 2:
        return ["There is no standard error: it takes several splits or seeds of a setting."]
    if found.repeats_of != SPLIT:
        return [
            f"The standard error covers {repeats} values of {found.repeats_of} alone.",
            ONE_SPLIT,
        ]
    if found.ratio != found.ratio:
        return ["There is no standard error: sweep.csv has no numbers of rows ('rows/train')."]
    return [
        f"The standard error is over {repeats} splits, students of a split averaged first; it is "
        f"{CORRECTED}."
    ]


def _told(found: Surface) -> list[str]:
    """How many settings can't be told from the best."""
    others = len(found.table) - 1
    if not others:
        return []
    compared = int(found.table["p"].notna().sum())
    if not compared:
        return ["No setting can be told from another."]
    near = int(found.table["not_told_from_best"].sum()) - 1
    what = "split" if found.repeats_of == SPLIT else found.repeats_of
    return [
        f"{near} of the {counted(others, 'other setting')} can't be told from the best (t-test of "
        f"differences paired by {what}, Holm's correction over {compared}, 5 %)."
    ]


def _winner(found: Surface) -> list[str]:
    if len(found.table) == 1:
        return []
    shared = (
        "So, a little, are its test measures: patients who test it in one split chose it in "
        "another. "
    )
    return [
        "The best setting was picked for its score, which is therefore too good to expect again. "
        f"{shared if found.splits > 1 else ''}What to expect is under 'Choose on validation, look "
        "at test'."
    ]


def _other_monitors(done: pd.DataFrame, found: Surface) -> list[str]:
    if done["monitor"].nunique() == 1:
        return []
    return [f"Monitors differ; all settings are compared by {head(found.monitor)}."]


def _meanings(done: pd.DataFrame) -> list[str]:
    """What the measures mean, once for each kind of data."""
    kinds = done.drop_duplicates(["positive", "classes", "threshold"])
    return [
        meaning(cell(kind["positive"]) or None, int(kind["classes"]), as_given(kind["threshold"]))
        for kind in kinds.to_dict("records")
    ]


def _choice_error(found: Surface) -> list[str]:
    if found.splits == 1:
        return [f"There is no standard error. {ONE_SPLIT}"]
    if found.ratio != found.ratio:
        return ["There is no standard error: sweep.csv has no numbers of rows ('rows/train')."]
    notes = [f"In brackets: the standard error over splits, {CORRECTED}."]
    if found.choice.alone:
        notes.append("Differences are paired by split, with 95 % intervals made from that error.")
    return notes


def _jobs(rows: pd.DataFrame) -> str:
    """Which jobs; the first few of many."""
    jobs = [cell(job) for job in rows.reindex(columns=["job"])["job"].drop_duplicates()]
    named = ", ".join(jobs[:MOST_JOBS]) + (", ..." if len(jobs) > MOST_JOBS else "")
    return f" ({'job' if len(jobs) == 1 else 'jobs'} {named})" if any(jobs) else ""
