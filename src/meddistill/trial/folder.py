"""The folder of a trial, and its files."""

from __future__ import annotations

from meddistill.stack.folder import StackFolder

RECORD = "trial.json"
PREDICTIONS, TRIES, HIDDEN = "predictions.parquet", "tries.csv", "hidden.csv"
RESULTS, SUMMARY, REPORT = "results.csv", "results.json", "report.html"

PART = "part"
"""Column of `tries.csv` that numbers the parts of a teacher: of no meaning over several splits."""


class TrialFolder(StackFolder):
    """A trial's folder.

    Files: `config.yaml` (resolved), `trial.json` (what decides the results, the environment and,
    once it is finished, what was compared), `predictions.parquet` (what every arm's chosen try
    answered on validation and test rows), `tries.csv` (every try's validation log loss), with
    `trial.hide` `hidden.csv` (the measures with further cells of test rows hidden), the log.
    `results.csv`, `results.json` and `report.html` are made from them, by `meddistill report` too.
    """

    settings_files = ("config.yaml", RECORD)
    record = RECORD
    facts = ("score", "data", "arms", "settings", "units")
