"""A run's folder: what made it, whether it may be used again, and what came of it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from meddistill.compose import identity
from meddistill.errors import UserError
from meddistill.files import read_json, write_atomically, write_json

PACKAGES = (
    "meddistill", "torch", "lightning", "hydra-core", "omegaconf", "torchmetrics", "scikit-learn",
    "numpy", "pandas", "pyarrow", "skops",
)  # fmt: skip
SETTINGS = ("config.yaml", "identity.json", "environment.txt")


def is_main_process() -> bool:
    """Whether this process writes: rank 0, or the only one."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


class RunFolder:
    """The folder of one run, found again by the same settings.

    Files: `config.yaml` (resolved), `identity.json` (what decides the results, flat),
    `environment.txt`, `metrics.json` (written last: it marks the run as finished),
    `predictions.parquet`, `model.json`, `preprocessing.skops`, `checkpoints/`, `report.md`.

    Args:
        path: The folder.
        config: The resolved config.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path, self.config = path, config
        self._lock = FileLock(path / ".lock")
        self._new: list[Path] = []

    def open(self) -> dict[str, Any] | None:
        """Claim the folder; the metrics of a finished run, or None where there is work to do.

        Raises:
            UserError: Another config made it, or another process is at work in it.
        """
        if not is_main_process():
            return None
        self.path.mkdir(parents=True, exist_ok=True)
        ours = (*SETTINGS, ".lock", f"{self.config['verb']}.log")
        self._new = [path for name in ours if not (path := self.path / name).exists()]
        self._claim()
        current = identity(self.config)
        if (self.path / "identity.json").exists():
            self._refuse_other(read_json(self.path / "identity.json"), current)
        elif (self.path / "config.yaml").exists():
            self.close()
            raise UserError(
                f"{self.path} holds a config.yaml that no run wrote; choose another hydra.run.dir"
            )
        else:
            write_json(self.path / "identity.json", current)
        if (self.path / "metrics.json").exists():
            self.close()
            metrics: dict[str, Any] = read_json(self.path / "metrics.json")
            return metrics
        text = yaml.safe_dump(dict(self.config), sort_keys=False)
        write_atomically(self.path / "config.yaml", text)
        write_atomically(self.path / "environment.txt", _environment())
        return None

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write the metrics, which marks the run as finished, and let go of the folder."""
        write_json(self.path / "metrics.json", metrics)
        (self.path / "checkpoints" / "last.ckpt").unlink(missing_ok=True)
        self.close()

    def discard(self) -> None:
        """Take back what `open` wrote, since the settings were refused before any training."""
        if not is_main_process() or (self.path / "checkpoints").exists():
            return
        for path in self._new:
            path.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.release()

    def _claim(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{self.path}: another process is at work in this folder; wait for it, or choose "
                "another hydra.run.dir"
            ) from None

    def _refuse_other(self, made_by: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        keys = sorted({*made_by, *current})
        missing = "(not set)"
        differences = [
            f"  {key}: {made_by.get(key, missing)} there, {current.get(key, missing)} now"
            for key in keys
            if _plain(made_by.get(key, missing)) != _plain(current.get(key, missing))
        ]
        if differences:
            self.close()
            raise UserError(
                f"{self.path} was made by another config:\n"
                + "\n".join(differences)
                + "\nChoose another folder (hydra.run.dir=...) or the same settings"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _environment() -> str:
    lines = [f"command: {' '.join(sys.argv)}", f"python: {platform.python_version()}"]
    lines += [f"platform: {platform.platform()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package}: {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package}: not installed as a package")
    return "\n".join(lines) + "\n"
