"""torch.compile, as a setting."""

from __future__ import annotations

import os
import shutil
from typing import cast

import torch
from torch import nn

from meddistill.errors import SettingError

MODES = (False, True, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def compiled(network: nn.Module, mode: bool | str) -> nn.Module:
    """The network as `torch.compile` makes it; with False as it is.

    The network itself stays as it was, and shares its parameters with what is returned.
    """
    if mode is False:
        return network
    return cast(nn.Module, torch.compile(network, mode=None if mode is True else mode))


def check_compile(mode: bool | str) -> None:
    """Refuse a mode that torch doesn't know, and any where there is nothing to compile with."""
    if mode not in MODES or (isinstance(mode, int) and not isinstance(mode, bool)):
        known = ", ".join(str(each).lower() for each in MODES)
        raise SettingError("compile", mode, f"must be one of {known}")
    if mode and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        raise SettingError("compile", mode, "needs a C++ compiler (g++)")


def uncompiled(network: nn.Module) -> nn.Module:
    """What `torch.compile` was given; its names of parameters have no prefix."""
    own: nn.Module = getattr(network, "_orig_mod", network)
    return own
