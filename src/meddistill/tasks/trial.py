"""`meddistill trial`: arms compared over repeated splits, on the user's own data."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from meddistill.config.compose import build
from meddistill.data.source import describe_data
from meddistill.data.split import OFFICIAL
from meddistill.errors import SettingError, UserError, integer, number
from meddistill.files.atomic import write_atomically
from meddistill.losses.building import build_loss
from meddistill.runs.pace import Pace
from meddistill.stack.tables import Table, let_go
from meddistill.tasks.common import check_student
from meddistill.training.callbacks import build_callbacks
from meddistill.training.loggers import make_loggers
from meddistill.trial.answers import Answers
from meddistill.trial.arms import Arm, EstimatorArm, PrunedTeacherArm, StudentArm, TeacherArm
from meddistill.trial.columns import columns_read
from meddistill.trial.costs import costs
from meddistill.trial.folder import HIDDEN, PREDICTIONS, TRIES, TrialFolder
from meddistill.trial.forecast import say_forecast
from meddistill.trial.hidden import COLUMNS, check_rows, hidden_lines, shares_asked, summed_up
from meddistill.trial.predictions import PredictionsWriter
from meddistill.trial.rivals import (
    check_estimators,
    estimator_answers,
    pruned_answers,
    rows_of,
    teacher_answers,
)
from meddistill.trial.students import check_on_rows, check_students, student_answers
from meddistill.trial.tables import read_units, teach_units
from meddistill.trial.units import (
    Unit,
    column_settings,
    make_units,
    setting_title,
    trial_settings,
)

log = logging.getLogger(__name__)
MEASURES = ("accuracy", "auroc", "average_precision", "brier", "calibration_error", "log_loss",
            "sensitivity", "specificity")  # fmt: skip
"""What can have a margin, and with it a verdict."""


def run_trial(settings: Mapping[str, Any], run: TrialFolder) -> dict[str, Any]:
    """Train and ask every arm on every split; what it came to is judged by the report.

    Everything a setting can get wrong is built before anything is trained.

    Returns:
        What was compared; `score` is the main arm's mean validation log loss in the first setting.
    """
    started = time.perf_counter()
    arms = _arms(settings)
    make_loggers(settings["logger"], run.path)  # one that can't be built is told of now
    settings = {**settings, "logger": {}}  # a trial is one run of theirs, no student's
    units = make_units(settings)
    reading = read_units(units)
    first = next(reading)
    check_rows(settings, first.cohort.records)
    check_on_rows(_of_kind(arms, StudentArm), units[0].settings, first)
    for name, arm in _of_kind(arms, EstimatorArm).items():
        rows_of(arm, first, name)  # it refuses rows that no classifier reads
    say_forecast(arms, units, first)
    first.let_go()
    tables = teach_units(units, [first, *reading])
    _hold_first(tables)
    every: list[Answers] = []
    hidden: list[dict[str, Any]] = []
    with PredictionsWriter(run.path / PREDICTIONS) as writer:
        for answers in _answers(arms, units, tables, run):
            writer.write(answers, units[answers.unit], tables[answers.unit])
            hidden += hidden_lines(answers, units[answers.unit], tables[answers.unit])
            every.append(_without_rows(answers))
    tries = _tries(every, units)
    write_atomically(run.path / TRIES, tries.to_csv(index=False))
    if hidden:
        frame = pd.DataFrame(hidden, columns=COLUMNS)
        write_atomically(run.path / HIDDEN, frame.to_csv(index=False))
    summary = _summary(settings, arms, units, tables, every) | summed_up(hidden)
    summary |= _costs(settings, arms, units, tables, every)
    summary["seconds"] = time.perf_counter() - started
    run.finish(summary)
    return summary


def _costs(
    settings: Mapping[str, Any],
    arms: Mapping[str, Arm],
    units: Sequence[Unit],
    tables: Sequence[Table],
    every: Sequence[Answers],
) -> dict[str, Any]:
    """Costs in the first setting and, where `trial.columns` is set, in each.

    They are measured once for all settings whose students read equally many columns; the teacher
    is the first split's, which is held.
    """
    numbers, columns = len(trial_settings(settings)), len(column_settings(settings))
    found = []
    for each in range(columns):
        place = next(k for k, unit in enumerate(units) if unit.setting == each)
        own = [a for a in every if units[a.unit].setting % columns == each]
        found.append(costs(arms, own, replace(tables[place], targets=tables[0].targets)))
    by_setting = [found[number % columns] for number in range(numbers)]
    return {"costs": found[0]} | ({"costs_by_setting": by_setting} if columns > 1 else {})


def _hold_first(tables: Sequence[Table]) -> None:
    """Keep the teacher of which the costs are measured last, when the store may be gone."""
    if tables[0].targets is not None:
        tables[0].targets.hold()


def _arms(settings: Mapping[str, Any]) -> dict[str, Arm]:
    """The arms, their settings and those of the trial checked."""
    check_student(settings)
    build_callbacks(settings["callbacks"], loggers=False)
    if settings["monitor"] != "val/log_loss":
        raise SettingError("monitor", settings["monitor"], "a trial chooses by val/log_loss")
    trial = settings["trial"]
    integer("trial.seeds", trial["seeds"], at_least=1)
    shares_asked(settings)
    for measure, margin in trial["margins"].items():
        if measure not in MEASURES:
            mend = f"is no measure; there are {', '.join(MEASURES)}"
            raise SettingError(f"trial.margins.{measure}", margin, mend)
        number(f"trial.margins.{measure}", margin, at_least=0)
    arms = {
        name: build(node, f"arms.{name}", _recursive_=False)
        for name, node in settings["arms"].items()
    }
    for key in ("baseline", "main"):
        if trial[key] not in arms:
            known = ", ".join(arms)
            raise SettingError(f"trial.{key}", trial[key], f"is no arm; there are {known}")
    check_students(_of_kind(arms, StudentArm), settings)
    check_estimators(_of_kind(arms, EstimatorArm))
    return arms


def _of_kind(arms: Mapping[str, Arm], kind: type[Any]) -> dict[str, Any]:
    return {name: arm for name, arm in arms.items() if isinstance(arm, kind)}


def _answers(
    arms: Mapping[str, Arm], units: Sequence[Unit], tables: Sequence[Table], run: TrialFolder
) -> Iterator[Answers]:
    """Every arm on every unit."""
    yield from _rivals(arms, tables, run)
    students = _of_kind(arms, StudentArm)
    seeds = units[0].settings["trial"]["seeds"]
    yield from student_answers(students, units, tables, seeds, run)


def _rivals(
    arms: Mapping[str, Arm], tables: Sequence[Table], run: TrialFolder
) -> Iterator[Answers]:
    for name, arm in arms.items():
        pace = Pace(f"{arm.label}: {{}} splits", len(tables))
        for unit, table in enumerate(tables):
            if isinstance(arm, TeacherArm):
                yield teacher_answers(unit, name, table)
            elif isinstance(arm, PrunedTeacherArm):
                pruned = pruned_answers(unit, name, table)
                if pruned is None:
                    log.info("%s: left out, the teacher has no parts", arm.label)
                    break
                yield pruned
            elif isinstance(arm, EstimatorArm):
                yield estimator_answers(unit, name, arm, table, run)
                let_go(tables)
            pace.step()


def _without_rows(answers: Answers) -> Answers:
    """The same without its models, and the answers by row, which lie in their file."""
    return replace(answers, probabilities=np.zeros((0, 0, 0), dtype=np.float32), models=())


def _tries(every: Sequence[Answers], units: Sequence[Unit]) -> pd.DataFrame:
    """A line for each arm, unit and try; epochs are the most that one of its students trained."""
    lines = [
        {
            "setting": units[answers.unit].setting,
            "split": units[answers.unit].split,
            "arm": answers.arm,
            "try": number,
            "chosen": number == answers.chosen,
            "val/log_loss": answers.scores[number].mean(),
            "epochs": None if answers.epochs is None else int(answers.epochs[number].max()),
            **attempt,
        }
        for answers in every
        for number, attempt in enumerate(answers.tries)
    ]
    return pd.DataFrame(lines)


def _distils(arm: Arm) -> bool | None:
    """Whether a student learns from the teacher's true answers; None of what is no student."""
    if not isinstance(arm, StudentArm):
        return None
    return build_loss(arm.loss).needs_teacher and not arm.is_control


def _treated(units: Sequence[Unit], every: Sequence[Answers]) -> dict[str, Any]:
    """What brought answers back, a line for each arm on each unit that treats an imbalance."""
    lines = [
        {
            "setting": units[answers.unit].setting,
            "split": units[answers.unit].split,
            "arm": answers.arm,
            "seeds": list(answers.treated),
        }
        for answers in every
        if answers.treated
    ]
    return {"treated": lines} if lines else {}


def _summary(
    settings: Mapping[str, Any],
    arms: Mapping[str, Arm],
    units: Sequence[Unit],
    tables: Sequence[Table],
    every: Sequence[Answers],
) -> dict[str, Any]:
    """What was compared, for the report."""
    trial = settings["trial"]
    answered = {answers.arm: len(answers.tries) for answers in every}
    if trial["baseline"] not in answered or trial["main"] not in answered:
        raise UserError("trial.main and trial.baseline must be arms that the teacher at hand has")
    main = [a for a in every if a.arm == trial["main"] and units[a.unit].setting == 0]
    first = tables[0].data
    return {
        "score": float(np.mean([answers.scores[answers.chosen].mean() for answers in main])),
        "monitor": settings["monitor"],
        "threshold": settings["threshold"],
        "max_epochs": settings["trainer"]["max_epochs"],
        "batch_size": first.batch_size,
        "data": describe_data(first.cohort, first.split),
        "official": settings["data"]["split"] == OFFICIAL,
        "teacher": settings["teacher"]["_target_"].rpartition(".")[2],
        "arms": {
            name: {
                "label": arm.title,
                "tries": answered[name],
                "control": arm.is_control,
                "distils": _distils(arm),
            }
            for name, arm in arms.items()
            if name in answered
        },
        "settings": [setting_title(changes) for changes in trial_settings(settings)],
        **columns_read(units, tables),
        "units": [
            {
                "setting": unit.setting,
                "split": unit.split,
                "train": len(table.data.split.train),
                "validation": len(table.data.split.validation),
                "test": len(table.data.split.test),
                "labelled": len(table.data.labelled_train),
            }
            for unit, table in zip(units, tables, strict=True)
        ],
        **_treated(units, every),
        **{key: trial[key] for key in ("baseline", "main", "margins", "seeds", "repeats", "folds")},
    }
