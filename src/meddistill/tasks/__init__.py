"""One function a verb: from a composed config to a result."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from meddistill.config.known import check_targets
from meddistill.config.resolvers import resolved
from meddistill.errors import UserError
from meddistill.report.folders import report_members, report_run, say_page
from meddistill.report.publishing import publish
from meddistill.report.tables import run_line, run_table
from meddistill.runs.notes import check_notes, renew_notes
from meddistill.runs.runfolder import RunFolder, is_main_process
from meddistill.stack.folder import StackFolder
from meddistill.trial.folder import TrialFolder

log = logging.getLogger(__name__)


def run(config: DictConfig, folder: Path, in_sweep: bool = False) -> float:
    """Do what the config's verb says in `folder`, or show what was done there before.

    Args:
        config: As composed.
        folder: The run's folder.
        in_sweep: Whether it is one of many, which a line is enough for.

    Returns:
        The monitored score on the validation rows, for optimising sweepers.
    """
    settings = resolved(config)
    check_notes(settings)
    run_folder = _folder(settings)(folder, settings)
    metrics = run_folder.finished()
    if metrics is None:
        check_targets(settings)
        metrics = run_folder.open()
    elif is_main_process():
        renew_notes(folder, settings)
    is_new = metrics is None
    if metrics is None:
        try:
            metrics = _work(config, settings, run_folder, in_sweep)
        except UserError:
            if not in_sweep:  # a sweep's failed job keeps its log
                run_folder.discard()
            raise
        finally:
            run_folder.close()
    if is_main_process() and not settings["debug"]:
        _show(metrics, folder, in_sweep)
        if is_new and isinstance(run_folder, TrialFolder):
            _log_trial(folder, settings)
    return math.nan if metrics["score"] is None else float(metrics["score"])


def _folder(settings: Mapping[str, Any]) -> type[RunFolder]:
    if settings["verb"] == "trial":
        return TrialFolder
    return StackFolder if settings.get("stack", {}).get("axes") else RunFolder


def _work(
    config: DictConfig, settings: dict[str, Any], run_folder: RunFolder, in_sweep: bool
) -> dict[str, Any]:
    # Imported here: a finished run is shown without torch and Lightning.
    from meddistill.inference.folder_networks import trusting

    with trusting(settings):
        return _verb(config, settings, run_folder, in_sweep)


def _verb(
    config: DictConfig, settings: dict[str, Any], run_folder: RunFolder, in_sweep: bool
) -> dict[str, Any]:
    """The verb's own work; a folder's network may be one that the config itself names."""
    if settings["verb"] == "teacher":
        from meddistill.tasks.teacher import train_teacher

        return train_teacher(settings, run_folder)
    if isinstance(run_folder, TrialFolder):
        from meddistill.tasks.trial import run_trial

        return run_trial(settings, run_folder)
    if isinstance(run_folder, StackFolder):
        from meddistill.tasks.stack import distill_stack

        return distill_stack(config, run_folder, in_sweep)
    from meddistill.tasks.distill import distill

    return distill(settings, run_folder, in_sweep)


def _log_trial(folder: Path, settings: Mapping[str, Any]) -> None:
    from meddistill.trial.logs import log_trial

    log_trial(folder, settings)


def _show(metrics: Mapping[str, Any], folder: Path, in_sweep: bool) -> None:
    """A table, or a line in a sweep."""
    if "arms" in metrics:
        from meddistill.report.trial import report_trial

        report_trial(folder, in_sweep)
        return
    is_stack = "members" in metrics
    if not in_sweep:
        report_members(folder) if is_stack else report_run(folder, metrics)
        say_page(folder)
    elif is_stack:
        failed = metrics["members"] - metrics["finished"]
        log.info(
            "  %d students in %.1f s%s",
            metrics["members"], metrics["seconds"], f", {failed} failed" if failed else "",
        )  # fmt: skip
    else:
        log.info("%s", run_line(metrics))
        publish(folder / "report.md", run_table(metrics).markdown())
