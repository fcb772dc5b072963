"""What a trial tells Lightning's loggers: its settings, and what it came to, once it is finished.

A trial is one run of a logger, however many students it trains: these have no curves there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meddistill.files.atomic import read_json
from meddistill.training.loggers import build_loggers, finalized
from meddistill.trial.folder import SUMMARY

DIFFERENCE = ("mean", "low", "high", "p", "p_holm")


def log_trial(folder: Path, settings: Mapping[str, Any]) -> None:
    """Hand the results of a finished trial to the loggers of its config; a step is a setting.

    Args:
        folder: The trial's.
        settings: Its config, resolved.
    """
    loggers = build_loggers(settings["logger"], folder, settings)
    if not loggers:
        return
    found = read_json(folder / SUMMARY)
    with finalized(loggers):
        for step, setting in enumerate(found["settings"]):
            row = measures_of(setting)
            for logger in loggers:
                logger.log_metrics(row, step=step)


def measures_of(setting: Mapping[str, Any]) -> dict[str, float]:
    """`ARM/MEASURE` of every arm, a mean over splits; `difference/ARM/MEASURE` to the baseline.

    The latter with `_low` and `_high` of its 95 % interval, `_p` and `_p_holm`. What is not defined
    is left out.
    """
    values = {
        f"{arm}/{measure}": own["mean"]
        for arm, found in setting["arms"].items()
        for measure, own in found["measures"].items()
    }
    for arm, found in setting["differences"].items():
        for measure, own in found.items():
            for part in DIFFERENCE:
                name = f"difference/{arm}/{measure}"
                values[name if part == "mean" else f"{name}_{part}"] = own[part]
    return {k: float(v) for k, v in values.items() if v is not None and math.isfinite(v)}
