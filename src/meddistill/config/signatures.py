"""Which arguments the target of a config's node takes."""

from __future__ import annotations

import inspect
from typing import Any

from meddistill.errors import UserError


def taken_by(target: Any, key: str) -> list[str] | None:
    """Names that a target takes; None where it takes any, or doesn't say."""
    from hydra.utils import get_object

    try:
        parameters = inspect.signature(get_object(str(target))).parameters.values()
    except (TypeError, ValueError):
        return None
    except Exception as error:
        raise UserError(
            f"{key}: {target} can't be imported; check its name, and that its package is installed"
        ) from error
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]
