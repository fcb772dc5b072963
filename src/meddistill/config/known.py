"""A key of a config is one that something reads, or it is refused with the nearest name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from meddistill.config.confdir import choices, conf_dir
from meddistill.config.identity import is_without_effect
from meddistill.config.nearest import nearest, no_such, not_taken
from meddistill.config.sections import needed, sections, split_keys
from meddistill.config.signatures import taken_by
from meddistill.errors import SettingError, UserError

SPECIAL = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")
"""What `instantiate` reads beside the target's own arguments."""
OPEN = ("trial.margins.",)
"""Where names are free, and checked by who reads them."""
NODES = (
    "loss", "network", "optimizer", "scheduler", "estimator", "synthetic", "preprocessing", "view",
    "init", "imbalance",
)  # fmt: skip
"""Arguments that are nodes with a target, or empty."""
BESIDE = {"scheduler": ("interval", "frequency", "monitor")}
"""Keys of a node that its target does not take, by the node's name."""


def check_sections(settings: Mapping[str, Any]) -> None:
    """Refuse unknown and missing keys of what is no group of choices; imports no target.

    Args:
        settings: A config of a verb, resolved or not.

    Raises:
        UserError: It names the key, and the nearest one that there is.
    """
    known = sections(settings["verb"])
    for key in _unknown(settings, known):
        raise UserError(f"{key}={_at(settings, key)}: {no_such(key, _names(settings, known))}")
    for key in _absent(needed(settings["verb"]), settings):
        mend = f"choose {key}={' or '.join(choices(key))}" if choices(key) else "give it a value"
        raise UserError(f"{key} is not there: {mend}")


def check_targets(settings: Mapping[str, Any]) -> None:
    """Refuse keys that the target of their node does not take, built or not.

    Args:
        settings: A config of a verb, resolved or not.

    Raises:
        UserError: It names the key, and those that there are.
    """
    for key, node in sorted(settings.items(), key=lambda item: item[0] == "arms"):  # repeats others
        if key == "trainer":
            _check_trainer(node, key)
        elif isinstance(node, Mapping) and not sections(settings["verb"]).get(key):
            _check_group(node, key)


def check_sweep(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Refuse what no job of a sweep could do, before the sweep has a folder.

    Args:
        config: As composed, without what is swept.
        overrides: The command line's.

    Raises:
        UserError: It names the key.
    """
    plain = OmegaConf.create({k: v for k, v in config.items_ex(False) if k != "hydra"})
    groups = {str(name) for name in config.hydra.runtime.choices}
    swept = {o.key_or_group: o for o in overrides if o.is_sweep_override() and not o.package}
    chosen = [key for key in swept if key in groups or (conf_dir() / key).is_dir()]
    for key, override in swept.items():
        if is_without_effect(key):
            raise UserError(f"{key} changes no result, so there is nothing to sweep over")
        if key not in chosen and key.partition(".")[0] not in chosen:
            OmegaConf.update(plain, key, _first(override), force_add=True)
    check_sections(plain)
    check_hydra(config.hydra)
    if not Path(config.hydra.sweep.dir).exists():  # jobs that are finished import nothing
        settings = OmegaConf.to_container(plain, resolve=False)
        check_targets({k: v for k, v in cast(dict[str, Any], settings).items() if k not in chosen})


def check_hydra(node: DictConfig) -> None:
    """Refuse unknown keys of Hydra's own; those of sweepers and launchers refuse theirs.

    Raises:
        UserError: It names the key, and the nearest one.
    """
    from hydra.conf import HydraConf

    known = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(HydraConf)))
    known["env"] = {}  # a group of Hydra's that its class leaves out
    here = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))
    for key in _unknown(here, known):
        names = [f"hydra.{name}" for name in _every(known)]
        raise UserError(f"hydra.{key}={_at(here, key)}: {no_such(f'hydra.{key}', names)}")


def _first(override: Override) -> Any:
    """A value that a sweep gives its key; of an interval, which only Optuna knows, its start."""
    if override.is_discrete_sweep():
        return next(iter(override.sweep_iterator(transformer=lambda value: value)))
    return getattr(override.value(), "start", None)


def _unknown(node: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys of `node` that are not in `known`; whatever lies in an empty mapping there is known."""
    for key, value in node.items():
        if key not in known and prefix not in OPEN:
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping) and isinstance(known.get(key), Mapping) and known[key]:
            yield from _unknown(value, known[key], f"{prefix}{key}.")


def _absent(wanted: Mapping[str, Any], node: Any, prefix: str = "") -> Iterator[str]:
    """Keys of `wanted` that are not in `node`."""
    for key, value in wanted.items() if prefix not in OPEN else ():
        if not isinstance(node, Mapping) or key not in node:
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping):
            yield from _absent(value, node[key], f"{prefix}{key}.")


def _names(settings: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Keys to choose the nearest from: those of the verb, then those of the choices at hand."""
    groups = {key: node for key, node in settings.items() if not known.get(key, 1)}
    return [*_every(known), *_every(groups)]


def _every(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all nodes and values."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _every(value, f"{prefix}{key}.")


def _at(settings: Mapping[str, Any], key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = value[name]
    return value


def _check_group(node: Mapping[str, Any], key: str) -> None:
    """A root key that a group fills: one node, or several by name."""
    if "_target_" in node:
        _check_node(node, key)
        return
    for name, value in node.items():
        if not isinstance(value, Mapping) or "_target_" not in value:
            mend = "nothing reads it: there is no _target_ beside or inside it"
            raise SettingError(f"{key}.{name}", value, mend)
        _check_node(value, f"{key}.{name}")


def _check_node(node: Mapping[str, Any], key: str) -> None:
    taken = taken_by(node["_target_"], key)
    own = tuple(split_keys()) if key == "data" else BESIDE.get(key.rpartition(".")[2], ())
    for name, value in node.items():
        if taken is not None and name not in (*taken, *own, *SPECIAL):
            raise SettingError(f"{key}.{name}", value, not_taken(name, (*taken, *own)))
        if str(node["_target_"]).startswith("meddistill."):
            _check_chosen(value, name, key)
        _check_inside(value, f"{key}.{name}")


def _check_chosen(value: Any, name: str, key: str) -> None:
    """Refuse the name of a choice in the place of what it stands for."""
    is_name = isinstance(value, str) and not value.startswith("${")
    if is_name and name in (*NODES, "missing") and (there := choices(name)):
        mend = f"is chosen as {name}@{key}.{name}={value if value in there else there[0]}"
        raise SettingError(f"{key}.{name}", value, mend)


def _check_inside(value: Any, key: str) -> None:
    if not isinstance(value, Mapping):
        return
    if "_target_" in value:
        _check_node(value, key)
    elif key.endswith(".trainer"):
        _check_trainer(value, key)
    elif key.rpartition(".")[2] in NODES:
        _check_group(value, key)
    else:
        for name, inner in value.items():
            _check_inside(inner, f"{key}.{name}")


def _check_trainer(node: Mapping[str, Any], key: str) -> None:
    import lightning.pytorch as pl  # here, as a finished run is shown without it

    taken = [name for name in inspect.signature(pl.Trainer).parameters if name != "self"]
    for name, value in node.items():
        if name not in taken:
            close = nearest(name, taken)
            mend = f"did you mean {key}.{close}?" if close else "see Lightning's Trainer"
            raise SettingError(f"{key}.{name}", value, f"no such argument; {mend}")
