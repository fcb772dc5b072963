"""From a config's nodes to objects; the one caller of `hydra.utils.instantiate`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from meddistill.config.nearest import not_taken
from meddistill.config.signatures import taken_by
from meddistill.errors import SettingError, UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

OptimizerFactory = Callable[[Iterable[Any]], "torch.optim.Optimizer"]
"""From parameters, or groups of them, to their optimizer."""
LARGEST_RATE = 1e30
"""Above it a single step is lost for float32, whose largest number is 3.4e38."""
WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word of a class's name begins."""
MISSING = re.compile(r"missing \d+ required \S+ arguments?: '(\w+)'")
"""What Python says of an argument that is not there."""


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


def choice_name(node: Mapping[str, Any]) -> str:
    """What a node's component is called in its group: logit_adjustment, of LogitAdjustment."""
    return WORD.sub("_", str(node["_target_"]).rpartition(".")[2]).lower()


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
    node: Mapping[str, Any], key: str, in_shape: tuple[int, ...], num_classes: int, seed: int
) -> nn.Module:
    """The network of a config node, its first weights drawn from `seed`."""
    import torch

    from meddistill.seeding import derive

    check_network(node, key)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "first weights"))
        network = build(node, key, in_shape=in_shape, num_classes=num_classes)
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
