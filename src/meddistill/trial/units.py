"""The settings and splits of a trial: what is trained and tested once for each arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meddistill.config.identity import flatten
from meddistill.data.split import OFFICIAL
from meddistill.errors import SettingError, integer, number, typed
from meddistill.stack.members import with_changes
from meddistill.students.columns import TEACHER


@dataclass(frozen=True)
class Unit:
    """One split in one setting.

    Attributes:
        setting: Number of the setting among those of the trial.
        settings: The resolved config for it.
    """

    setting: int
    settings: Mapping[str, Any]

    @property
    def split(self) -> str:
        """A name for the split, the same in every setting."""
        data = self.settings["data"]
        fold = data.get("fold")
        return str(data["split_seed"]) + ("" if fold is None else f".{fold[0]}")

    @property
    def name(self) -> str:
        """A name that only this unit of the trial has."""
        return f"{self.setting}-{self.split}"


def make_units(settings: Mapping[str, Any]) -> list[Unit]:
    """Every setting with every split, a setting's splits side by side."""
    return [
        Unit(number, with_changes(settings, {**changes, **split}))
        for number, changes in enumerate(trial_settings(settings))
        for split in _splits(settings)
    ]


def trial_settings(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a trial is repeated for: how many labels there are, and which columns are read."""
    return [
        labels | columns
        for labels in label_settings(settings)
        for columns in column_settings(settings)
    ]


def column_settings(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns that students read: as configured, or `trial.columns` one after the other.

    These are numbers of columns, or budgets where columns have costs; None among them is all.

    Raises:
        SettingError: They are no such list, or other settings say which columns are read.
    """
    values, own = settings["trial"]["columns"], settings["columns"]
    if values is None:
        return [{}]
    name = "most" if own["costs"] is None else "budget"
    if not isinstance(values, list) or not values:
        mend = "names no number" if values == [] else "must be a list"
        raise SettingError("trial.columns", values, f"{mend}: trial.columns=[2,4,8]")
    if len({str(value) for value in values}) < len(values):
        raise SettingError("trial.columns", values, "names a value twice")
    if own["by"] != TEACHER:
        mend = f"goes with the teacher's choice of columns alone, not with columns.by={own['by']}"
        raise SettingError("trial.columns", values, mend)
    for key in ("keep", name):
        if own[key] is not None:
            mend = (
                f"trial.columns sets columns.{name} to each of {typed(values)}: leave one "
                "of the two out"
            )
            raise SettingError(f"columns.{key}", own[key], mend)
    every = {f"columns.{key}": None for key in ("most", "costs", "budget")}
    return [every if value is None else {f"columns.{name}": value} for value in values]


def label_settings(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How many labels student and teacher have: as configured, and few for the student.

    A teacher that is not trained here has no share of labels, and the two may be one.
    """
    few = settings["trial"]["few_labels"]
    own = {"data.labels": number("data.labels", settings["data"]["labels"], above=0, at_most=1)}
    teachers = {"teacher.labels"} if "labels" in settings["teacher"] else set()
    found = [own | {key: settings["teacher"]["labels"] for key in teachers}]  # noqa: C420
    if few is not None:
        number("trial.few_labels", few, above=0, at_most=1)
        share = min(few, own["data.labels"])
        found.append({"data.labels": share} | dict.fromkeys(teachers, 1.0))
    return [each for k, each in enumerate(found) if each not in found[:k]]


def setting_title(changes: Mapping[str, Any]) -> str:
    """A setting in words."""
    share = changes["data.labels"]
    labels = "All labels" if share == 1 else f"{share:.0%} of the labels"
    teachers = changes.get("teacher.labels", share)
    if teachers != share:
        labels += f" at the student's site, {_share(teachers)} at the teacher's"
    return labels + _columns(changes)


def _columns(changes: Mapping[str, Any]) -> str:
    """Which columns are read, as the end of a setting's title."""
    if changes.get("columns.budget") is not None:
        return f"; columns for {changes['columns.budget']:g}"
    if "columns.most" not in changes:
        return ""
    most = changes["columns.most"]
    return "; all columns" if most is None else f"; {most} column{'s' if most > 1 else ''}"


def _share(labels: float) -> str:
    return "all" if labels == 1 else f"{labels:.0%}"


def _splits(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    trial = settings["trial"]
    repeats = integer("trial.repeats", trial["repeats"], at_least=1)
    first = integer("data.split_seed", settings["data"]["split_seed"])
    seeds = [
        {"data.split_seed": first + number, **_other_seeds(settings, number)}
        for number in range(repeats)
    ]
    folds = trial["folds"]
    if folds is None:
        splits: list[dict[str, Any]] = seeds
    else:
        integer("trial.folds", folds, at_least=2)
        if settings["data"].get("fold") is not None:
            mend = "trial.folds makes every fold the test part in turn: leave one of the two out"
            raise SettingError("data.fold", settings["data"]["fold"], mend)
        splits = [{**seed, "data.fold": [k, folds]} for seed in seeds for k in range(folds)]
    if len(splits) < 2:
        raise SettingError("trial.repeats", repeats, "a trial needs two splits at least")
    return splits


def _other_seeds(settings: Mapping[str, Any], number: int) -> dict[str, int]:
    """Seeds of a repeat where all have the same parts: nothing else would differ between them."""
    if settings["data"]["split"] != OFFICIAL:
        return {}
    students = {"seed": settings["seed"] + number * settings["trial"]["seeds"]}
    teachers = {
        f"teacher.{key}": value + number
        for key, value in flatten(settings["teacher"])
        if key.rpartition(".")[2] == "seed" and isinstance(value, int)
    }
    return students | teachers
