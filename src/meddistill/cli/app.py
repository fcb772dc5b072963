"""The one Hydra app: a root config a verb."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig

from hydra_plugins.meddistill_sweepers import optuna, stacked
from meddistill.cli.arguments import readable
from meddistill.config.confdir import conf_dir
from meddistill.config.debug import removed, shrunk
from meddistill.config.known import check_hydra, check_sections
from meddistill.config.resolvers import register_resolvers
from meddistill.config.sections import sections
from meddistill.errors import UserError
from meddistill.files.disk import told
from meddistill.once import counted
from meddistill.runs.preemption import Stopped, watched
from meddistill.tasks import run

register_resolvers()  # here, so that a launcher's worker that imports `task` has them too

OF_FLAGS = ("Only one of --", "The --resolve flag")
"""How Hydra begins what it says of flags that don't go together, in a plain ValueError."""
_refused: list[UserError] = []  # of a single run: Hydra would print lines of its own about it


def launch(verb: str) -> None:
    """Compose the config `conf/<verb>.yaml` with the command line's overrides and run it.

    Raises:
        UserError: What the user got wrong in a single run; a sweep's failed jobs are in its table.
    """
    Plugins.instance()  # finds every plugin's choices, of which ours replace some
    optuna.offer()
    stacked.offer()
    command = list(sys.argv)
    taken = sections(verb)  # Hydra takes the rest for overrides
    sys.argv = [command[0], *readable(command[2:], taken)]
    with removed(), counted():
        try:
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=verb)(task)()
        except ValueError as error:
            if str(error).startswith(OF_FLAGS):
                raise UserError(f"Hydra's flags: {error}") from error
            raise
        finally:
            sys.argv = command
        if _refused:
            raise _refused.pop()


def task(config: DictConfig) -> float:
    """One job: what the config's verb says, in Hydra's folder for it."""
    if sys.argv[1:2] != [config.verb]:
        sys.argv.insert(1, config.verb)  # Lightning starts DDP's other processes by repeating it
    hydra_config = HydraConfig.get()
    in_sweep = hydra_config.mode == RunMode.MULTIRUN
    folder = Path(hydra_config.runtime.output_dir)
    try:
        check_hydra(cast(DictConfig, hydra_config))
        check_sections(config)
        _check_devices(config, in_sweep)
        with watched(), told(folder):
            return run(shrunk(config, folder), folder, in_sweep)
    except Stopped:
        _forget_log(folder, config.verb)
        raise
    except UserError as error:
        if in_sweep:
            raise
        with suppress(OSError):
            folder.rmdir()  # if it is empty: Hydra makes it before it asks us
        _refused.append(error)
        return math.nan


def _forget_log(folder: Path, verb: str) -> None:
    """Remove a folder in which nothing was begun but the log of having been stopped."""
    log = folder / f"{verb}.log"
    if list(folder.iterdir()) == [log]:
        log.unlink()
        folder.rmdir()


def _check_devices(config: DictConfig, in_sweep: bool) -> None:
    """Refuse several devices where a job takes one, or can't start its own processes.

    Raises:
        UserError: It says what to do instead.
    """
    key = _takes_several(config.trainer)
    if key is None:
        return
    given = f"trainer.{key}={config.trainer[key]}"
    if config.verb == "trial" or config.get("stack", {}).get("axes"):
        raise UserError(
            f"{given}: students that are trained side by side take one device "
            "a job; several jobs take several (hydra.sweeper.members_per_job, hydra/launcher)"
        )
    if in_sweep and int(os.environ.get("SLURM_NTASKS", "1")) == 1:
        raise UserError(
            f"{given}: a sweep's jobs each take one device, since Lightning "
            "would start the whole sweep again in every process; leave it out, or let SLURM start "
            "the processes (hydra/launcher=slurm hydra.launcher.tasks_per_node=2)"
        )


def _takes_several(trainer: DictConfig) -> str | None:
    """The argument by which Lightning would train on several devices; None on one."""
    if trainer.get("strategy", "auto") not in ("auto", None):
        return "strategy"
    devices = trainer.get("devices", 1)
    every = devices in ("auto", -1, "-1") and trainer.get("accelerator") != "cpu"
    counted = len(devices) if isinstance(devices, ListConfig) else devices
    several = every or "," in str(counted) or (str(counted).isdecimal() and int(counted) > 1)
    return "devices" if several else None
