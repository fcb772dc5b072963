"""One function a verb: from a composed config to a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from meddistill.compose import resolved
from meddistill.report.tables import run_table
from meddistill.runfolder import RunFolder, is_main_process


def run(config: DictConfig, folder: Path) -> float:
    """Do what the config's verb says in `folder`, or show what was done there before.

    Returns:
        The monitored score on the validation rows, for optimising sweepers.
    """
    settings = resolved(config)
    run_folder = RunFolder(folder, settings)
    metrics = run_folder.open()
    if metrics is None:
        try:
            metrics = _work(settings, run_folder)
        finally:
            run_folder.close()
    if metrics and is_main_process():
        _show(metrics, run_folder)
    return float(metrics["score"])


def _work(settings: dict[str, Any], run_folder: RunFolder) -> dict[str, Any]:
    # Imported here: a finished run is shown without torch and Lightning.
    if settings["verb"] == "teacher":
        from meddistill.tasks.teacher import train_teacher as task
    else:
        from meddistill.tasks.distill import distill as task
    return task(settings, run_folder)


def _show(metrics: dict[str, Any], run_folder: RunFolder) -> None:
    table = run_table(metrics)
    table.show()
    from meddistill.files import write_atomically

    write_atomically(run_folder.path / "report.md", table.markdown())
    print(f"Report: {run_folder.path / 'report.md'}")
