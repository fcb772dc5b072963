"""Lightning's loggers from the config."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from lightning.pytorch.loggers import Logger, WandbLogger

from meddistill.config.compose import build
from meddistill.config.identity import flatten
from meddistill.errors import SettingError, UserError


def build_loggers(
    nodes: Mapping[str, Any], folder: Path, settings: Mapping[str, Any]
) -> list[Logger]:
    """The loggers of a config's group, told the run's settings.

    Args:
        nodes: By name their config nodes, resolved.
        folder: Where those write that take a `save_dir` and weren't given one.
        settings: The run's config, resolved.

    Raises:
        UserError: One can't be built, or its package is not installed.
    """
    loggers = make_loggers(nodes, folder)
    for logger in loggers:
        logger.log_hyperparams(dict(flatten(settings)))
    return loggers


def make_loggers(nodes: Mapping[str, Any], folder: Path) -> list[Logger]:
    """The same, told nothing yet: nothing is written before they are.

    Raises:
        UserError: One can't be built, or its package is not installed.
    """
    loggers = []
    for name, node in nodes.items():
        key = f"logger.{name}"
        takes = inspect.signature(get_object(str(node["_target_"]))).parameters
        wanted = "save_dir" in takes and node.get("save_dir") is None
        try:
            logger = build(node, key, **({"save_dir": str(folder)} if wanted else {}))
        except InstantiationException as error:
            raise UserError(f"{key}: {_why(name, error.__cause__ or error)}") from error
        if not isinstance(logger, Logger):
            raise SettingError(f"{key}._target_", node["_target_"], "is no Lightning logger")
        loggers.append(logger)
    return loggers


def _why(name: str, error: BaseException) -> str:
    if isinstance(error, ImportError):
        return f"its package is not installed: pip install 'meddistill[{name}]'"
    return " ".join(str(error).split())


@contextmanager
def finalized(loggers: Sequence[Logger]) -> Iterator[None]:
    """Close the loggers with what became of the run: Lightning tells them of training alone."""
    try:
        yield
    except BaseException:
        for logger in loggers:
            _close(logger, "failed")
        raise
    for logger in loggers:
        logger.save()
        _close(logger, "success")


def log_test(loggers: Sequence[Logger], measures: Mapping[str, Any], step: int) -> None:
    """Hand the loggers the measures of the test rows, once."""
    row = {f"test/{name}": value for name, value in measures.items() if isinstance(value, float)}
    for logger in loggers:
        logger.log_metrics(row, step=step)


def _close(logger: Logger, status: str) -> None:
    """Lightning leaves a run of wandb's open, and the next in this process would go on in it."""
    logger.finalize(status)
    if isinstance(logger, WandbLogger):
        logger.experiment.finish(exit_code=int(status != "success"))
