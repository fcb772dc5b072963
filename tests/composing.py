"""Configs as the command line composes them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from meddistill.config.confdir import conf_dir
from meddistill.config.resolvers import register_resolvers


def composed(verb: str, *overrides: str) -> DictConfig:
    """The config of a verb, not resolved."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(verb, list(overrides))
