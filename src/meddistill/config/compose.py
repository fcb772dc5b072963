"""From a composed config to objects and identities; the one caller of `hydra.utils.instantiate`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from meddistill.config.confdir import VERBS, listed_choices
from meddistill.config.debug import scratch
from meddistill.config.nearest import not_taken
from meddistill.config.signatures import taken_by
from meddistill.errors import SettingError, UserError
from meddistill.files.atomic import called_from, checksum
from meddistill.measures import lower_is_better

if TYPE_CHECKING:
    import torch
    from torch import nn

OptimizerFactory = Callable[[Iterable[Any]], "torch.optim.Optimizer"]
"""From parameters, or groups of them, to their optimizer."""
WITHOUT_EFFECT = (
    "hydra", "store", "debug", "tags", "notes", "trainer.enable_progress_bar", "save_seconds",
    "stack.chunk", "data.in_memory", "data.workers",
)  # fmt: skip
"""Keys that change no result: runs that differ in these alone are one run."""
SINCE = {
    "data.unlabelled": None,
    "teacher.keep": "model",
    "teacher.most_rows": None,
    "teacher.batch_rows": None,
    "columns._target_": "meddistill.students.columns.Columns",
    "columns.keep": None,
    "columns.most": None,
    "columns.costs": None,
    "columns.budget": None,
    "trial.columns": None,
}
"""Keys that earlier versions did not have, and the value that does what those did: with it a run is
the one that it was. Of a teacher they are those of each in a committee too."""
FILES = (".path", "_path", "data.unlabelled")
"""How keys end whose values are files, the content of which decides what a run is."""
LARGEST_RATE = 1e30
"""Above it a single step is lost for float32, whose largest number is 3.4e38."""
MISSING = re.compile(r"missing \d+ required \S+ arguments?: '(\w+)'")
"""What Python says of an argument that is not there."""
LATER = ("init.seed", "init.share", "init.choose", "init.member", "init.scale")
"""Axes that stack by now: sweeps that were made before have the same name."""
OF_COMMITTEE = re.compile(r"(?<=^teacher)(\.of\.[^.]+)+")
"""Where a teacher stands in a committee."""
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


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run's results, as flat keys: settings, and the content of files they name."""
    flat = dict(flatten(config))
    kept = {
        key: value
        for key, value in flat.items()
        if not is_without_effect(key) and SINCE.get(OF_COMMITTEE.sub("", key), ...) != value
    }
    for key, path in files_named(config):
        kept[f"content of {key}"] = _content(path)
    return kept


def files_named(node: Any, prefix: str = "") -> Iterable[tuple[str, Path]]:
    """The files that settings name, with their dotted keys; those within lists too."""
    inner = node.items() if isinstance(node, Mapping) else ()
    for key, value in enumerate(node) if isinstance(node, list) else inner:
        if isinstance(value, (Mapping, list)):
            yield from files_named(value, f"{prefix}{key}.")
        elif f"{prefix}{key}".endswith(FILES) and isinstance(value, str):
            yield f"{prefix}{key}", from_call(value)


def is_without_effect(key: str) -> bool:
    """Whether a key changes no result."""
    return f"{key}.".startswith(tuple(f"{each}." for each in WITHOUT_EFFECT))


def from_call(path: str | Path) -> Path:
    """A path as the caller means it: from where the command was given, under `chdir` too."""
    given, here = Path(path).expanduser(), called_from()
    return given if here == Path.cwd() else here / given


def short_hash(value: object, digits: int = 8) -> str:
    """Hexadecimal digits that stand for `value`."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


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
        return short_hash([identity(resolved(_root_)), overrides, sweeper])

    OmegaConf.register_new_resolver("meddistill.choices", _choices, replace=True)
    OmegaConf.register_new_resolver("meddistill.mode", _mode, replace=True)
    OmegaConf.register_new_resolver("meddistill.verb", VERBS.get, replace=True)
    OmegaConf.register_new_resolver("meddistill.run", run, replace=True)
    OmegaConf.register_new_resolver("meddistill.sweep", sweep, replace=True)
    OmegaConf.register_new_resolver("meddistill.scratch", scratch, replace=True)


def build(node: Mapping[str, Any], key: str, **facts: Any) -> Any:
    """The object that a config node with a `_target_` describes.

    Args:
        node: The node, resolved.
        key: Where it stands in the config, for messages.
        **facts: Arguments that no config holds, such as shapes of the data.

    Raises:
        UserError: The node holds an unknown key, or a value that its target refuses.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    if "_target_" not in node:
        raise no_target(key)
    for name in facts:
        if node.get(name) is not None:
            raise SettingError(f"{key}.{name}", node[name], "is no setting: the run decides it")
    try:
        return instantiate(dict(node), **facts, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, SettingError):
            raise (cause if cause.key.startswith(f"{key}.") else cause.under(key)) from None
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, TypeError):
            said = _unknown_key(node, key, facts) or _missing_key(str(cause), key)
            raise UserError(said or f"{key}: {cause}") from error
        if "Error locating target" in str(error):
            named = re.search(r"target '([^']+)'", str(error))
            target = named[1] if named else node.get("_target_")
            raise UserError(
                f"{key}: {target} can't be imported; check its name, and that its package is "
                "installed"
            ) from error
        if cause is None:
            raise UserError(f"{key}: {error}") from error
        if isinstance(cause, ValueError) or type(cause).__name__ == "MisconfigurationException":
            raise UserError(f"{key}: {cause}") from error
        raise


def no_target(key: str) -> UserError:
    """What to say of a config node that names no class."""
    return UserError(f"{key}._target_ is not there: it names the class that {key} is")


def check_network(node: Mapping[str, Any], key: str) -> None:
    """Refuse a network that can't be built here, which its config node alone shows.

    A class of an optional package says that this is absent in a static method `check_installed`.
    A network that a model's folder names is `folder_networks`' to build.

    Raises:
        UserError: There is no such class, it is no network, or its package is not installed.
    """
    from hydra.utils import get_class
    from torch import nn

    name = node.get("_target_")
    try:
        target = get_class(str(name))
    except Exception as error:
        raise SettingError(f"{key}._target_", name, f"no such class ({error})") from error
    if not issubclass(target, nn.Module):
        raise SettingError(f"{key}._target_", name, "is not a torch.nn.Module")
    if hasattr(target, "check_installed"):
        target.check_installed()


def build_network(
    node: Mapping[str, Any], key: str, in_shape: Iterable[int], num_classes: int, seed: int
) -> nn.Module:
    """The network of a config node, its first weights drawn from `seed`."""
    import torch

    from meddistill.seeding import derive

    check_network(node, key)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "first weights"))
        network = build(node, key, in_shape=tuple(in_shape), num_classes=num_classes)
    return cast("nn.Module", network)


def build_optimizer(node: Mapping[str, Any], key: str) -> OptimizerFactory:
    """From parameters to the optimizer of a config node, its settings tried out once."""
    import torch
    from torch import nn

    factory: Callable[..., torch.optim.Optimizer] = build(node, key)
    try:
        optimizer = factory([nn.Parameter(torch.zeros(1))])
    except (ValueError, TypeError) as error:
        raise UserError(f"{key}: {error}") from error
    rate = float(optimizer.defaults.get("lr", 0.0))
    if not rate <= LARGEST_RATE:
        raise SettingError(f"{key}.lr", rate, "a step of it leaves the range of float32")
    return factory


def _unknown_key(node: Mapping[str, Any], key: str, facts: Mapping[str, Any]) -> str | None:
    taken = taken_by(node["_target_"], key)
    for name, value in node.items():
        if taken is not None and not name.startswith("_") and name not in taken:
            own = [known for known in taken if known not in facts]
            return f"{key}.{name}={value}: {not_taken(name, own)}"
    return None


def _missing_key(text: str, key: str) -> str | None:
    match = MISSING.search(text)
    if match is None:
        return None
    name = "_partial_" if match[1] == "params" else match[1]  # the network's, known later
    return f"{key}.{name} is not there: give it a value"


def _mode(monitor: str) -> str:
    """Which way a followed value is better, in Lightning's and torch's word."""
    return "min" if lower_is_better(monitor) else "max"


def _has_effect(override: str) -> bool:
    return not is_without_effect(override.partition("=")[0].lstrip("+~"))


def _choices(*, _root_: DictConfig) -> str:
    """The groups of a root config with what each can be, a line each."""
    groups = sorted(group for group in _root_.hydra.runtime.choices if "hydra" not in group)
    sources = [each for each in _root_.hydra.runtime.config_sources if each.schema == "file"]
    more = [Path(each.path) for each in sources if each.provider != "main"]
    return listed_choices((group for group in groups if "@" not in group), more=more)


def flatten(node: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Leaves of a nested config with their dotted keys."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _content(path: Path) -> str:
    """A short checksum of a file, a run folder's model, or all files of another folder."""
    if path.is_file():
        return checksum(path)[:16]
    if path.is_dir() and not (path / "model.json").exists():
        return _of_files(path, tuple(_files(path)))
    weights = ("**/best.ckpt", "**/*.skops", "**/preprocessing.json", "**/out_of_fold.parquet")
    kinds = (*weights, "*/**/model.json")
    parts = [path / "model.json", *sorted(file for kind in kinds for file in path.glob(kind))]
    found = [checksum(part) for part in parts if part.is_file()]
    return short_hash(found, digits=16) if found else "absent"


def _files(folder: Path) -> Iterable[tuple[str, int, int]]:
    """Each file below a folder by its name there, with its size and when it was changed."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = path.stat()
        yield str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _of_files(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """A short checksum of the names and contents of files, worked out once as long as they stay."""
    found = [(name, checksum(folder / name)) for name, _, _ in files]
    return short_hash(found, digits=16) if found else "absent"
