"""Hydra's and OmegaConf's errors in one sentence: key, value and mend."""

from __future__ import annotations

import difflib
import re
from typing import Any, cast

from meddistill.errors import UserError

UNKNOWN = re.compile(r"Could not override '([^']+)'")
NO_CHOICE = re.compile(r"Could not find '([^']+)/([^'/]+)'")
AVAILABLE = re.compile(r"^\t(\S+)$", re.MULTILINE)
NO_GROUP = re.compile(r"Could not override '([^']+)'\.\s*No match in the defaults list")


def explain(error: BaseException, verb: str) -> str:
    """One message for `error`, from whichever of its causes says most."""
    cause: BaseException | None = error
    while cause is not None:  # Hydra and OmegaConf wrap what our resolvers raise
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if match := NO_GROUP.search(text):
        return f"{match[1]}: there is no such group of choices (see meddistill {verb} --help)"
    if match := UNKNOWN.search(text):
        return _unknown_key(match[1], verb)
    if match := NO_CHOICE.search(text):
        group, choice = match[1], match[2]
        there = [name for name in AVAILABLE.findall(text) if not name.startswith("_")]
        return f"{group}={choice}: no such choice; there are {', '.join(there) or 'none'}"
    return " ".join(text.split())


def _unknown_key(key: str, verb: str) -> str:
    close = difflib.get_close_matches(key, known_keys(verb), n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return (
        f"{key}: no such setting{meant} (meddistill {verb} --help shows all; +{key}=... adds one)"
    )


def known_keys(verb: str) -> list[str]:
    """Flat keys of the verb's config with its default choices."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from meddistill.compose import flatten
    from meddistill.confdir import conf_dir

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        plain = cast(dict[str, Any], OmegaConf.to_container(compose(verb), resolve=False))
    return [key for key, _ in flatten(plain)]
