"""The one Hydra app: a root config a verb."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from meddistill.compose import register_resolvers
from meddistill.confdir import conf_dir
from meddistill.tasks import run

register_resolvers()  # here, so that a launcher's worker that imports `task` has them too


def launch(verb: str) -> None:
    """Compose the config `conf/<verb>.yaml` with the command line's overrides and run it."""
    command = list(sys.argv)
    sys.argv = [command[0], *command[2:]]  # Hydra takes the rest for overrides
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=verb)(task)()
    finally:
        sys.argv = command


def task(config: DictConfig) -> float:
    """One job: what the config's verb says, in Hydra's folder for it."""
    if sys.argv[1:2] != [config.verb]:
        sys.argv.insert(1, config.verb)  # Lightning starts DDP's other processes by repeating it
    return run(config, Path(HydraConfig.get().runtime.output_dir))
