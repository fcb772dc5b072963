"""A trial's report: `results.csv`, `results.json`, `report.html`, and lines in the terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from meddistill.errors import UserError
from meddistill.evaluation.verdict import NAMES, bottom_line
from meddistill.files.atomic import as_json, read_json
from meddistill.report import trial_plots as plots
from meddistill.report import trial_tables as tables
from meddistill.report.classes import classes_table
from meddistill.report.page import DataTable, Notice, Page, Section, Text, Verdicts, render
from meddistill.report.prior import trial_table as prior_table
from meddistill.report.publishing import noted, publish
from meddistill.report.tables import Table
from meddistill.report.threshold import threshold_tables
from meddistill.report.trial_columns import columns_sections, columns_tables
from meddistill.report.trial_hidden import hidden_sections, hidden_tables
from meddistill.runs.notes import notes_of
from meddistill.runs.reading import read_csv, read_predictions
from meddistill.trial.columns import with_own_costs
from meddistill.trial.folder import (
    HIDDEN,
    PREDICTIONS,
    RECORD,
    REPORT,
    RESULTS,
    SUMMARY,
    TRIES,
    TrialFolder,
)
from meddistill.trial.hidden import COLUMNS as COLUMNS_HIDDEN
from meddistill.trial.judge import judge
from meddistill.trial.results import results

log = logging.getLogger(__name__)
COLUMNS = ("setting", "split", "arm", "seed", "part", "row", "label")
TRIED = ("setting", "split", "arm", "try", "chosen", "val/log_loss", "epochs")

RULE = (
    "Every arm saw the same splits. Each arm's settings were chosen on validation rows inside each "
    "split, with as many tries for every arm that has any; test rows were used once, for the "
    "chosen. A difference is paired by split; its interval is that of the corrected resampled "
    "t-test (Nadeau and Bengio 2003), since splits share patients. NO DIFFERENCE: the whole "
    "interval lies inside the margin. Otherwise BETTER or WORSE: it excludes zero. Otherwise "
    "INCONCLUSIVE. The verdict is on one comparison settled beforehand and is not corrected for "
    "others; the p values of all arms are, by Holm's method."
)

OFFICIAL_RULE = (
    "Every repeat had the same official parts and trained teacher and students anew from seeds of "
    "its own. Each arm's settings were chosen on validation rows inside each repeat, with as many "
    "tries for every arm that has any; test rows were used for the chosen alone. A difference is "
    "paired by repeat, with the interval of the t-test: it tells how far trainings differ, NOT how "
    "results vary with other patients, for which see DeLong's interval or data.split=random. NO "
    "DIFFERENCE: the whole interval lies inside the margin. Otherwise BETTER or WORSE: it excludes "
    "zero. Otherwise INCONCLUSIVE. The verdict is on one comparison settled beforehand and is not "
    "corrected for others; the p values of all arms are, by Holm's method."
)

MEANING = (
    "AUROC says how well the probabilities rank ill above well (1 is perfect, 0.5 is chance). Log "
    "loss says how far the probabilities are from what was true, sure mistakes most (lower is "
    "better)."
)


def report_trial(folder: Path, in_sweep: bool = False) -> None:
    """Judge a finished trial by its predictions, print the verdicts and write the report.

    Args:
        folder: The trial's.
        in_sweep: Whether it is one of many, for which a line a setting is enough.

    Raises:
        UserError: The trial is not finished.
    """
    record = read_json(folder / RECORD)
    summary = TrialFolder.sound(record.get("summary"))
    if summary is None:
        raise UserError(f"{folder}: the trial is not finished; repeat its command to go on")
    predictions = read_predictions(folder / PREDICTIONS, COLUMNS)
    measures = judge(predictions, summary)
    hidden = read_csv(folder / HIDDEN, COLUMNS_HIDDEN) if "hide" in summary else None
    found = results(measures, read_csv(folder / TRIES, TRIED), predictions, summary, hidden)
    for number, setting in enumerate(found):
        setting["number"] = number
    page = trial_page(found, summary, predictions, record["environment"])
    if in_sweep:
        for setting in found:
            log.info("  %s: %s", setting["title"], in_short(setting["verdicts"]))
            if setting["simplest"]:
                log.info("  %s", setting["simplest"]["sentence"])
    else:
        _print(found, summary)
        if said := notes_of(folder):
            print(said)
    files = {
        RESULTS: ("Table", measures.to_csv(index=False)),
        SUMMARY: ("Results", as_json({"trial": summary, "settings": found})),
        REPORT: ("Report", render(noted(page, folder))),
    }
    for name, (what, content) in files.items():
        publish(folder / name, content, None if in_sweep else what)


def trial_page(
    found: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    predictions: pd.DataFrame,
    environment: Sequence[str],
) -> Page:
    """The page: verdicts first."""
    data = summary["data"]
    main, baseline = (summary["arms"][summary[k]]["label"] for k in ("main", "baseline"))
    positive = f", positive class {data['positive']}" if data["positive"] else ""
    lead = (
        f"{data['name']}: {sum(data['rows'].values()):,} rows, {len(data['classes'])} classes"
        f"{positive}. The {main} against the {baseline}, over {found[0]['splits']} splits."
    )
    sections = [Section("What was found", _verdict_parts(found, summary))]
    sections += columns_sections(found, summary)
    for setting in found:
        sections += _setting_sections(setting, summary, predictions)
    sections.append(Section("Cost of use", _cost_parts(found, summary)))
    sections.append(Section("How it was done", _how(found, summary)))
    footer = [*environment, f"data: {data['name']}, fingerprint {data['fingerprint'][:16]}"]
    return Page("Is distillation worth it here?", lead, sections, footer)


def _verdict_parts(found: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = []
    for setting in found:
        for what, text in warnings(setting, summary):
            parts.append(Notice(f"{setting['title']}: {what}", text))
        cards = [
            (NAMES.get(v["measure"], v["measure"]), v["word"], v["sentence"])
            for v in setting["verdicts"]
        ]
        line = _bottom_line(setting, summary)
        parts.append(Verdicts(setting["title"], line, cards))
        parts += [Text(setting["simplest"]["sentence"])] if setting["simplest"] else []
    return [*parts, Text(MEANING)]


def _bottom_line(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Of distillation where a distilled student stands beside one alone, else of the two arms."""
    main, baseline = (summary["arms"][summary[key]] for key in ("main", "baseline"))
    of_distillation = main.get("distils") is True and baseline.get("distils") is False
    pair = None if of_distillation else (main["label"], baseline["label"])
    return bottom_line([verdict["word"] for verdict in setting["verdicts"]], pair)


def warnings(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to know before a setting's verdicts: in few words, and whole."""
    found = []
    if not setting["gate"]["open"]:
        found.append(("the teacher is no better", gate(setting)))
    if setting["cut_short"]:
        found.append(("training was cut short", cut_short(setting, summary)))
    return found


def gate(setting: Mapping[str, Any]) -> str:
    """The warning that there is little to be learned from the teacher."""
    own = setting["gate"]
    return (
        f"On validation rows the teacher's log loss, {tables.plain(own['teacher'])}, is not below "
        f"that of the student alone, {tables.plain(own['alone'])}: there is little to learn from "
        "it. A better teacher, or none, is the first thing to try."
    )


def _setting_sections(
    setting: Mapping[str, Any], summary: Mapping[str, Any], predictions: pd.DataFrame
) -> list[Section]:
    rows = predictions[predictions["setting"] == setting["number"]]
    test = rows[rows["part"] == "test"]
    title, measured = setting["title"], summary["margins"]
    names = {measure: NAMES.get(measure, measure) for measure in measured}
    return [
        Section(
            f"{title}: the arms",
            [
                tables.measures_table(setting, summary, tables.MAIN, "Measures on test rows"),
                *(plots.forest(setting, summary, m, name) for m, name in names.items()),
                *(tables.differences_table(setting, summary, m, n) for m, n in names.items()),
            ],
        ),
        *hidden_sections(setting, summary),
        Section(f"{title}: curves", plots.pooled_curves(setting, summary, test), True),
        Section(f"{title}: more measures", _more(setting, summary, test)),
    ]


def _more(setting: Mapping[str, Any], summary: Mapping[str, Any], test: pd.DataFrame) -> list[Any]:
    scaling = (
        "After scaling: with one temperature fitted on validation rows (Guo et al. 2017). Slope "
        "and intercept are 1 and 0 where probabilities come true."
    )
    transfer = (
        "Negative transfer: share of test rows where the teacher is wrong, the arm says the same, "
        "and the student alone was right. KL in nats."
    )
    parts: list[Any] = [
        tables.measures_table(setting, summary, tables.CALIBRATION, "Calibration", [scaling]),
        *prior_table(setting, summary),
        *threshold_tables(setting, summary),
        tables.measures_table(setting, summary, tables.OPERATING, "Operating points"),
        tables.measures_table(setting, summary, tables.FIDELITY, "Fidelity", [transfer]),
        *tables.confusion_tables(setting, summary),
        *_classes(summary, test),
        tables.tried_table(setting, summary),
    ]
    one = setting["one_auroc"]
    return [*parts, Text(_delong(one, summary))] if one else parts


def _classes(summary: Mapping[str, Any], test: pd.DataFrame) -> list[DataTable]:
    """Each class of the main arm and the baseline, where there are more than two."""
    classes = summary["data"]["classes"]
    if len(classes) == 2:
        return []
    models = plots.answered(summary, test, [summary["main"], summary["baseline"]])
    return [
        classes_table(m.label, m.probabilities, m.target, classes, plots.POOLED) for m in models
    ]


def _delong(one: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    arms = "; ".join(
        f"{summary['arms'][arm]['label']} {tables.plain(v['auroc'])} ({_interval(v, tables.plain)})"
        for arm, v in one["arms"].items()
    )
    own = one["difference"]
    return (
        f"One AUROC over all {one['rows']} tested rows, their predictions averaged over splits and "
        f"seeds, with DeLong's 95 % interval: {arms}. Difference to the student alone "
        f"{tables.signed(own['mean'])} ({_interval(own, tables.signed)}, p "
        f"{tables.probability(own['p'])}). Averaging makes a small "
        "ensemble of each arm, and the interval knows of rows alone, not of training: the verdict "
        "above does not rest on it."
    )


def _interval(found: Mapping[str, float], shown: Callable[[float], str]) -> str:
    """An interval's ends, or that there is none."""
    low, high = found["low"], found["high"]
    return "no interval" if low != low else f"{shown(low)} to {shown(high)}"


def _cost_parts(found: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[Any]:
    """A table for all settings or, where columns differ, for each number of them; and plots."""
    own = [with_own_costs(summary, setting["number"]) for setting in found]
    drawn = [plots.pareto(setting, costs) for setting, costs in zip(found, own, strict=True)]
    if "costs_by_setting" not in summary:
        return [tables.costs_table(summary), *filter(None, drawn)]
    heads = {
        setting["title"].rpartition("; ")[2]: costs
        for setting, costs in zip(found, own, strict=True)
    }
    each = [tables.costs_table(costs, f"Cost of use: {head}") for head, costs in heads.items()]
    return [*each, *filter(None, drawn)]


def _how(found: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> list[Any]:
    margins = ", ".join(f"{NAMES.get(k, k)} {v:g}" for k, v in summary["margins"].items())
    folds = summary["folds"]
    kind = f"{summary['repeats']} times {folds} folds" if folds else "random stratified splits"
    if summary["official"]:
        kind = f"the official parts, {summary['repeats']} times"
    sizes = "; ".join(
        f"{s['title']}: {s['rows']['train']:.0f} training rows ({s['rows']['labelled']:.0f} with "
        f"labels), {s['rows']['validation']:.0f} validation, {s['rows']['test']:.0f} test"
        for s in found
    )
    return [
        Text(OFFICIAL_RULE if summary["official"] else RULE),
        Text(f"Margins of practical equivalence: {margins}."),
        Text(
            f"Splits: {kind}. {sizes}. Of each try {summary['seeds']} student(s) with seeds of "
            f"their own were trained and their measures averaged. Teacher: {summary['teacher']}. "
            f"The trial took {summary['seconds']:.0f} s."
        ),
        *(Text(note) for note in summary["data"]["notes"]),
    ]


def in_short(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Verdicts in a line."""
    return ", ".join(
        f"{NAMES.get(v['measure'], v['measure'])} {v['word']} {tables.signed_interval(v)}"
        for v in verdicts
    )


def cut_short(setting: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """The warning that students might have learned more."""
    counts = ", ".join(
        f"{summary['arms'][arm]['label']} on {count} of {setting['splits']} splits"
        for arm, count in setting["cut_short"].items()
    )
    last = f"trainer.max_epochs={summary['max_epochs']}"
    return (
        f"Training ended at {last}, before validation rows had it stop: {counts}. More epochs may "
        "change the verdict; with few validation rows they may as well do harm."
    )


def _print(found: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    """A table a setting, its warning and its verdicts."""
    for setting in found:
        rows = [
            [
                str(summary["arms"][name]["label"]),
                *(tables.plain(arm["measures"][m]["mean"]) for m in list(tables.MAIN)[:4]),
            ]
            for name, arm in setting["arms"].items()
        ]
        notes = [f"WARNING. {text}" for _, text in warnings(setting, summary)]
        notes += tables.fewer_splits(setting, dict(list(tables.MAIN.items())[:4]))
        notes.append(_bottom_line(setting, summary))
        notes += [f"{v['word']}. {v['sentence']}" for v in setting["verdicts"]]
        notes += [setting["simplest"]["sentence"]] if setting["simplest"] else []
        title = f"{setting['title']}: test rows, mean over {setting['splits']} splits"
        Table(title, ["arm", *list(tables.MAIN.values())[:4]], rows, notes).show()
        print()
    of_hidden = [table for setting in found for table in hidden_tables(setting, summary)]
    for table in [*columns_tables(found, summary), *of_hidden]:
        table.show()
        print()
