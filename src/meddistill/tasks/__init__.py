"""One function a verb: from a composed config to a result."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from meddistill.compose import resolved
from meddistill.errors import UserError
from meddistill.files import shown, write_atomically
from meddistill.report.tables import run_line, run_table
from meddistill.runfolder import RunFolder, is_main_process

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
    run_folder = RunFolder(folder, settings)
    metrics = run_folder.open()
    if metrics is None:
        try:
            metrics = _work(settings, run_folder)
        except UserError:
            if not in_sweep:  # a sweep's failed job keeps its log
                run_folder.discard()
            raise
        finally:
            run_folder.close()
    if is_main_process():
        table = run_table(metrics)
        write_atomically(folder / "report.md", table.markdown())
        if in_sweep:
            log.info("%s", run_line(metrics))
        else:
            table.show()
            print(f"Report: {shown(folder / 'report.md')}")
    return float(metrics["score"])


def _work(settings: dict[str, Any], run_folder: RunFolder) -> dict[str, Any]:
    # Imported here: a finished run is shown without torch and Lightning.
    if settings["verb"] == "teacher":
        from meddistill.tasks.teacher import train_teacher as task
    else:
        from meddistill.tasks.distill import distill as task
    return task(settings, run_folder)
