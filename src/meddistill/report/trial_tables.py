"""The tables of a trial's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meddistill.report.page import Cell, DataTable

MAIN = {
    "auroc": "AUROC",
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "calibration_error": "calibration error",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
CALIBRATION = {
    "calibration_error": "calibration error",
    "calibration_error_scaled": "after scaling",
    "log_loss": "log loss",
    "log_loss_scaled": "after scaling ",
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
    "brier": "Brier score",
}
OPERATING = {
    "sensitivity_at_specificity_90": "sensitivity at 90 % specificity",
    "sensitivity_at_specificity_95": "at 95 %",
    "specificity_at_sensitivity_90": "specificity at 90 % sensitivity",
    "specificity_at_sensitivity_95": "at 95 % ",
    "average_precision": "average precision",
}
AT_THRESHOLD = {
    "threshold": "threshold",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
}
LATENCIES = {
    "raw_row_ms": "one raw row, ms",
    "prepared_row_ms": "one prepared row, ms",
    "raw_batch_ms": "1,024 raw rows, ms",
    "prepared_batch_ms": "1,024 prepared rows, ms",
}
FIDELITY = {
    "agreement": "agrees with the teacher",
    "kl": "KL from the teacher",
    "negative_transfer": "negative transfer",
}


def measures_table(
    setting: Mapping[str, Any], summary: Mapping[str, Any], shown: Mapping[str, str],
    caption: str, notes: Sequence[str] = (),
) -> DataTable:  # fmt: skip
    """Means over splits with their standard deviations, a row an arm."""
    rows: list[list[Cell]] = []
    for name, arm in setting["arms"].items():
        cells: list[Cell] = [str(summary["arms"][name]["label"])]
        for measure in shown:
            found = arm["measures"].get(measure, {})
            cells.append(_with_spread(found.get("mean"), found.get("sd")))
        rows.append(cells)
    splits = f"Mean over {setting['splits']} splits, in brackets the standard deviation."
    said = [splits, *fewer_splits(setting, shown), *notes]
    return DataTable(["arm", *shown.values()], rows, said, caption)


def fewer_splits(setting: Mapping[str, Any], shown: Mapping[str, str]) -> list[str]:
    """Which means stand on fewer than all splits, and on how many; nothing where none does."""
    every, counts = setting["splits"], {}
    for measure, head in shown.items():
        found = [arm["measures"].get(measure, {}) for arm in setting["arms"].values()]
        least = min((each.get("splits", every) for each in found), default=every)
        if least < every:
            counts[head.strip()] = least
    if not counts:
        return []
    said = ", ".join(f"{head} on {count} of {every}" for head, count in counts.items())
    return [f"Means over the splits where a measure is defined: {said} at least."]


def differences_table(
    setting: Mapping[str, Any], summary: Mapping[str, Any], measure: str, name: str
) -> DataTable:
    """Every arm minus the baseline on one measure."""
    rows: list[list[Cell]] = []
    for arm, found in setting["differences"].items():
        own = found[measure]
        interval = f"{signed(own['low'])} to {signed(own['high'])}"
        rows.append(
            [
                str(summary["arms"][arm]["label"]),
                (signed(own["mean"]), _key(own["mean"])),
                (interval, _key(own["low"])),
                (probability(own["p"]), _key(own["p"])),
                (probability(own["p_holm"]), _key(own["p_holm"])),
                own["word"],
            ]
        )
    columns = ["arm", "difference", "95 % interval", "p", "p (Holm)", "verdict"]
    baseline = summary["arms"][summary["baseline"]]["label"]
    return DataTable(columns, rows, (), f"{name}: difference to the {baseline}")


def costs_table(summary: Mapping[str, Any], caption: str = "Cost of use") -> DataTable:
    """What each arm costs."""
    rows: list[list[Cell]] = []
    for name, arm in summary["arms"].items():
        found = summary["costs"].get(name, {})
        rows.append(
            [
                str(arm["label"]),
                _count(found.get("parameters")),
                _count(found.get("bytes")),
                _count(found.get("multiply_adds")),
                *(_milliseconds(found.get(key)) for key in LATENCIES),
                _seconds(found.get("seconds_to_train")),
            ]
        )
    columns = ["arm", "parameters", "bytes", "multiply-adds a row", *LATENCIES.values(),
               "training, s"]  # fmt: skip
    notes = [
        "Parameters: trained numbers; of trees their nodes. Bytes: four a parameter, or the stored "
        "size. Times: median of many calls on one thread of the machine that ran the trial, to "
        "probabilities: from raw rows as predict takes them, which are read, checked and prepared "
        "on the way, and the model's own part of that, from prepared inputs.",
        "Training: one fit; a student's is its share of a stack, a part's that of the whole. A "
        "dash is unknown.",
    ]
    return DataTable(columns, rows, notes, caption)


def confusion_tables(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[DataTable]:
    """Rows by true and called class of the main arm and the baseline."""
    classes = summary["data"]["classes"]
    tables = []
    for name in (summary["main"], summary["baseline"]):
        rows: list[list[Cell]] = [
            [truth, *((f"{value:g}", float(value)) for value in line)]
            for truth, line in zip(classes, setting["confusion"][name], strict=True)
        ]
        columns = ["truth \\ called", *classes]
        label = summary["arms"][name]["label"]
        tables.append(DataTable(columns, rows, (), f"{label}: mean test rows a split"))
    return tables


def tried_table(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> DataTable:
    """What was tried for each arm, and what was mostly chosen."""
    rows: list[list[Cell]] = []
    for name, arm in setting["arms"].items():
        chosen = ", ".join(f"{key} = {setting_text(value)}" for key, value in arm["chosen"].items())
        tries = summary["arms"][name]["tries"]
        score = arm["validation_log_loss"]
        rows.append(
            [
                str(summary["arms"][name]["label"]),
                (str(tries), float(tries)),
                (plain(score), _key(score)),
                chosen or "-",
            ]
        )
    columns = ["arm", "tries a split", "validation log loss of the chosen", "chosen most often"]
    return DataTable(columns, rows, (), "What was tried and chosen on validation rows")


def setting_text(value: Any) -> str:
    """The value of a setting as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def plain(value: float | None, digits: int = 4) -> str:
    """A measure; a dash where it is undefined."""
    return "-" if value is None or value != value else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference; a dash where it is undefined."""
    return "-" if value is None or value != value else f"{value:+.4f}"


def signed_interval(found: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    return f"{signed(found['mean'])} [{signed(found['low'])}, {signed(found['high'])}]"


def probability(value: float | None) -> str:
    """A p value."""
    if value is None or value != value:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _with_spread(mean: float | None, spread: float | None) -> Cell:
    return f"{plain(mean)} ({plain(spread, 3)})", _key(mean)


def _key(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _count(value: int | None) -> Cell:
    return ("-", float("nan")) if value is None else (f"{value:,}", float(value))


def _milliseconds(value: float | None) -> Cell:
    return ("-", float("nan")) if value is None else (f"{value:.3g}", float(value))


def _seconds(value: float | None) -> Cell:
    return ("-", float("nan")) if value is None else (f"{value:.2g}", float(value))
