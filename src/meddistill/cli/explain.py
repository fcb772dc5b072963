"""Hydra's and OmegaConf's errors in one sentence: key, value and mend."""

from __future__ import annotations

import re
from shlex import quote
from typing import Any, cast

from hydra.errors import HydraException, OverrideParseException

from meddistill.config.confdir import choices
from meddistill.config.nearest import no_such
from meddistill.errors import UserError

UNKNOWN = re.compile(r"Could not override '([^']+)'")
NO_CHOICE = re.compile(r"Could not find '([^']+)/([^'/]+)'")
AVAILABLE = re.compile(r"^\t(\S+)$", re.MULTILINE)
NOT_THERE = re.compile(r"Interpolation key '([^']+)' not found\s+full_key: (\S+)")
NOT_TAKEN = re.compile(r"unexpected keyword argument '(\w+)'.*?full_key: (\S+)", re.DOTALL)
TWICE = re.compile(r"Multiple values for (\S+)\. To override .* '[^']*: ([^']*)'")
OF_CHOICE = re.compile(r"choice\((.*)\)")
QUOTED_NAME = re.compile(r"""(["'])([^"']*)\1\s*:""")
SIGN = re.compile(r"[=()\[\]{},:\\]")
"""What stands in a mapping's names with a backslash before it."""
EXAMPLE = r"{age\, years: 3}"
NO_GROUP = re.compile(r"Could not override '([^']+)'\.\s*No match in the defaults list")


def explain(error: BaseException, verb: str) -> str:
    """One message for `error`, from whichever of its causes says most."""
    cause: BaseException | None = error
    while cause is not None:  # Hydra and OmegaConf wrap what our resolvers raise
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, OverrideParseException):
            return _unread(cause.override, str(cause))
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if match := TWICE.search(text):
        return f"{match[1]}={match[2]}: leave out the +, which would add a second {match[1]}"
    if match := NOT_TAKEN.search(text):
        return f"{match[2]}.{match[1]}: no such setting (--cfg hydra -p {match[2]} shows all)"
    if match := NO_GROUP.search(text):
        return f"{match[1]}: there is no such group of choices (see meddistill {verb} --help)"
    if match := UNKNOWN.search(text):
        return _unknown_key(match[1], verb)
    if match := NOT_THERE.search(text):
        return f"{match[2]} reads {match[1]}, which is not there{_of_arm(match[1])}"
    if match := NO_CHOICE.search(text):
        group, choice = match[1], match[2]
        there = [name for name in AVAILABLE.findall(text) if not name.startswith("_")]
        return f"{group}={choice}: no such choice; there are {', '.join(there) or 'none'}"
    return " ".join(text.split())


def _unread(override: str, text: str) -> str:
    """What to say of an argument that Hydra's parser does not understand."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: is no key=value"
    if (match := OF_CHOICE.search(value)) and "NoneType" in text:
        return f"{override}: null has no place in choice(): write {key}={match[1]}"
    if value.startswith("{"):
        return (
            f"{override}: can't be read; a name between {{ and }} takes no quotes, but a backslash "
            f"before each of = ( ) [ ] {{ }} , : in it: {_with_escapes(key, value)}; one with "
            "other signs stands in a yaml of your own (--config-dir)"
        )
    what, mended = "a value", _in_quotes(value)
    if value.startswith("[") and value.endswith("]"):
        what, mended = "an element", _elements_in_quotes(value)
    return (
        f"{override}: can't be read; {what} with any of = ( ) [ ] {{ }} ~ , : or quotes in it "
        f"goes into quotes, and all of it into others for the shell: {quote(f'{key}={mended}')}"
    )


def _with_escapes(key: str, value: str) -> str:
    """A mapping as Hydra reads it, its names without quotes; an example where that is not enough.

    Hydra's grammar has no quotes and no signs but its own in a name.
    """
    mended = QUOTED_NAME.sub(lambda name: SIGN.sub(r"\\\g<0>", name[2]) + ":", value)
    return quote(f"{key}={mended if _is_read(mended) else EXAMPLE}")


def _elements_in_quotes(value: str) -> str:
    """A list with its elements in quotes where they need them; an example where it has some."""
    if "'" in value or '"' in value:
        return '["one, of two","another"]'
    elements = [each.strip() for each in value[1:-1].split(",")]
    return f"[{','.join(each if _is_read(each) else _in_quotes(each) for each in elements)}]"


def _in_quotes(value: str) -> str:
    return '"{}"'.format(value.replace('"', '\\"'))


def _is_read(value: str) -> bool:
    """Whether Hydra's parser reads a value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return False
    return True


def _of_arm(key: str) -> str:
    first, _, rest = key.partition(".")
    return f": add {rest.partition('.')[0]} to arm=[...]" if first == "arms" else ""


def _unknown_key(key: str, verb: str) -> str:
    known = known_keys(verb)
    every = [*known, *_keys_of_choices(key.partition(".")[0])]
    if any(name.startswith(f"{key}.") for name in every):
        said = "it has no such key inside"
    elif key in every:
        said = "no such setting with the choices at hand, it is one of others"
    else:
        said = no_such(key, known)
    adds = f"; +{key}=... adds one that it takes" if "." in key else ""
    return f"{key}: {said} (meddistill {verb} --help shows all{adds})"


def _keys_of_choices(group: str) -> list[str]:
    """Flat keys of every choice of a group, if it is one; those of nested defaults aside."""
    from omegaconf import OmegaConf

    from meddistill.config.confdir import conf_dir
    from meddistill.config.identity import flatten

    found = []
    for name in choices(group):
        node = OmegaConf.to_container(OmegaConf.load(conf_dir() / group / f"{name}.yaml"))
        found += [f"{group}.{key}" for key, _ in flatten(cast(dict[str, Any], node))]
    return found


def known_keys(verb: str) -> list[str]:
    """Flat keys of the verb's config with its default choices."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from meddistill.config.confdir import conf_dir
    from meddistill.config.identity import flatten

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        plain = cast(dict[str, Any], OmegaConf.to_container(compose(verb), resolve=False))
    return [key for key, _ in flatten(plain)]
