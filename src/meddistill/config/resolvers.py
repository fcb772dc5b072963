"""From a composed config to plain settings, and what configs can ask for as `${meddistill...}`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from meddistill.config.confdir import VERBS, listed_choices
from meddistill.config.debug import scratch
from meddistill.config.identity import (
    contents_given,
    flatten,
    identity,
    is_without_effect,
    short_hash,
)
from meddistill.errors import SettingError, UserError
from meddistill.measures import lower_is_better

LATER = (
    "init.seed", "init.share", "init.choose", "init.member", "init.scale", "imbalance.gamma",
    "imbalance.tau",
)  # fmt: skip
"""Axes that stack by now: sweeps that were made before have the same name."""
TRIALS = ("n_trials", "n_jobs", "max_failure_rate")
"""Settings of a sweeper that change no trial: sweeps that differ in these alone are one sweep."""


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config with every interpolation resolved, without Hydra's own part."""
    plain = OmegaConf.create(
        {key: value for key, value in config.items_ex(False) if key != "hydra"}
    )
    missing = sorted(OmegaConf.missing_keys(plain))
    if missing:
        raise UserError(f"{missing[0]} is not set: give it as {missing[0]}=...")
    settings = cast(dict[str, Any], OmegaConf.to_container(plain, resolve=True))
    for key, value in flatten(settings):
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingError(key, value, "must be a finite number")
    return settings


def register_resolvers() -> None:
    """Make `${meddistill.run:}` and `${meddistill.sweep:}` known: the hashes in folder names."""

    def run(*, _root_: DictConfig) -> str:
        return short_hash(identity(resolved(_root_)))

    def sweep(*, _root_: DictConfig) -> str:
        overrides = sorted(filter(_has_effect, _root_.hydra.overrides.task))
        node = cast(dict[str, Any], OmegaConf.to_container(_root_.hydra.sweeper, resolve=True))
        sweeper = {k: v for k, v in node.items() if k not in TRIALS}
        if "stackable" in sweeper:
            sweeper["stackable"] = [key for key in sweeper["stackable"] if key not in LATER]
        made_by = [identity(resolved(_root_)), overrides, sweeper]
        files = contents_given(filter(_is_swept, overrides))
        return short_hash([*made_by, files] if files else made_by)

    OmegaConf.register_new_resolver("meddistill.choices", _choices, replace=True)
    OmegaConf.register_new_resolver("meddistill.mode", _mode, replace=True)
    OmegaConf.register_new_resolver("meddistill.verb", VERBS.get, replace=True)
    OmegaConf.register_new_resolver("meddistill.run", run, replace=True)
    OmegaConf.register_new_resolver("meddistill.sweep", sweep, replace=True)
    OmegaConf.register_new_resolver("meddistill.scratch", scratch, replace=True)


def _mode(monitor: str) -> str:
    """Which way a followed value is better, in Lightning's and torch's word."""
    return "min" if lower_is_better(monitor) else "max"


def _has_effect(override: str) -> bool:
    return not is_without_effect(override.partition("=")[0].lstrip("+~"))


def _is_swept(override: str) -> bool:
    return OverridesParser.create().parse_override(override).is_sweep_override()


def _choices(*, _root_: DictConfig) -> str:
    """The groups of a root config with what each can be, a line each."""
    groups = sorted(group for group in _root_.hydra.runtime.choices if "hydra" not in group)
    sources = [each for each in _root_.hydra.runtime.config_sources if each.schema == "file"]
    more = [Path(each.path) for each in sources if each.provider != "main"]
    return listed_choices((group for group in groups if "@" not in group), more=more)
