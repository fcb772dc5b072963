"""A run's folder: what made it, whether it may be used again, and what came of it."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from filelock import Timeout

from meddistill.config.identity import identity
from meddistill.errors import DamagedError, UserError
from meddistill.files.atomic import LEDGER, locked, read_json, write_atomically, write_json
from meddistill.files.ledger import open_ledger

log = logging.getLogger(__name__)
PACKAGES = (
    "meddistill", "torch", "lightning", "hydra-core", "omegaconf", "torchmetrics", "scikit-learn",
    "numpy", "pandas", "pyarrow", "skops",
)  # fmt: skip
SETTINGS = ("config.yaml", "identity.json", "environment.txt")


RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Where torchrun, Lightning and SLURM say which of several processes this one is."""


def is_main_process() -> bool:
    """Whether this process writes: rank 0 of the first node, or the only one."""
    return all(int(os.environ.get(name, "0")) == 0 for name in RANKS)


class RunFolder:
    """The folder of one run, found again by the same settings.

    Files: `config.yaml` (resolved), `identity.json` (what decides the results, flat),
    `environment.txt`, `metrics.json` (written last: it marks the run as finished),
    `predictions.parquet`, `model.json`, `preprocessing.json`, `checkpoints/`, `report.md`; while
    it is at work a ledger, by which a repeat knows what is whole.

    Args:
        path: The folder.
        config: The resolved config.
    """

    settings_files: tuple[str, ...] = SETTINGS
    facts: tuple[str, ...] = ("score", "monitor", "threshold", "data")
    """What the metrics of a finished run hold at least."""

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path, self.config = path, config
        self._held = ExitStack()
        self._new: list[Path] = []

    def finished(self) -> dict[str, Any] | None:
        """What came of the run, if it is finished and these settings made it; writes nothing.

        Raises:
            UserError: Another config made it.
        """
        made_by = self.made_by()
        if made_by is None:
            return None
        self._refuse_other(made_by, identity(self.config))
        return self.metrics()

    def open(self) -> dict[str, Any] | None:
        """Claim the folder; the metrics of a finished run, or None where there is work to do.

        Raises:
            UserError: Another config made it, or another process is at work in it.
        """
        if (finished := self.finished()) is not None:
            return finished
        if not is_main_process():
            return None
        self.path.mkdir(parents=True, exist_ok=True)
        ours = (*self.settings_files, LEDGER, "logs", ".lock", f"{self.config['verb']}.log")
        self._new = [path for name in ours if not (path := self.path / name).exists()]
        self._claim()
        try:
            if (finished := self.finished()) is not None:  # by the process that had the lock
                self.close()
                return finished
            self._begin()
        except BaseException:
            self.close()
            raise
        return None

    def _begin(self) -> None:
        """Settle what is gone on from, and write what makes the run."""
        begun, made_by = (self.path / LEDGER).exists(), self.made_by()
        if not begun and made_by is None and (self.path / "config.yaml").exists():
            raise UserError(
                f"{self.path} holds a config.yaml that no run wrote; choose another hydra.run.dir"
            )
        if not begun and made_by is not None:
            log.warning("%s: what came of the run there is damaged; it is made again", self.path)
        open_ledger(self.path, self.gone_on_from)
        self.write_settings(identity(self.config))

    @staticmethod
    def gone_on_from(file: Path) -> bool:
        """Whether a repeat would go on from a file, relative to the folder, without asking."""
        in_parts = file.parts[0] == "parts" and file.suffix in (".ckpt", ".json")
        return file.name == "last.ckpt" or in_parts

    def made_by(self) -> dict[str, Any] | None:
        """The identity of the run that made the folder; None in an empty one."""
        return self._record("identity.json")

    def metrics(self) -> dict[str, Any] | None:
        """What came of a finished run; None of an unfinished one, and where that is damaged."""
        try:
            return self.sound(self._record("metrics.json"))
        except DamagedError:
            return None

    @classmethod
    def sound(cls, metrics: Any) -> dict[str, Any] | None:
        """The metrics, if they can be those of a finished run."""
        whole = isinstance(metrics, dict) and all(fact in metrics for fact in cls.facts)
        return metrics if whole else None

    def _record(self, name: str) -> dict[str, Any] | None:
        """A JSON file's record; None where it is absent, or damaged in an unfinished run.

        Raises:
            DamagedError: It is damaged, and no ledger says that the run is unfinished.
        """
        try:
            return read_json(self.path / name)
        except FileNotFoundError:
            return None
        except DamagedError:
            if not (self.path / LEDGER).exists():
                raise
            return None  # the ledger names it

    def write_settings(self, current: Mapping[str, Any]) -> None:
        """Write what makes the run."""
        write_json(self.path / "identity.json", current)
        self.write_config()
        write_atomically(self.path / "environment.txt", "\n".join(environment()) + "\n")

    def write_config(self) -> None:
        """Write the resolved config."""
        text = yaml.safe_dump(dict(self.config), sort_keys=False)
        write_atomically(self.path / "config.yaml", text)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Write the metrics, which marks the run as finished, and let go of the folder."""
        write_json(self.path / "metrics.json", metrics)
        (self.path / "checkpoints" / "last.ckpt").unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """Let go of a finished run, to which nobody writes any more."""
        (self.path / LEDGER).unlink(missing_ok=True)
        self.close()
        (self.path / ".lock").unlink(missing_ok=True)

    def discard(self) -> None:
        """Take back what `open` wrote, since the settings were refused before any training."""
        if not is_main_process() or (self.path / "checkpoints").exists():
            return
        for path in self._new:
            if path.is_dir():  # loggers write the settings before any training
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def close(self) -> None:
        """Let go of the folder."""
        self._held.close()

    def _claim(self) -> None:
        try:
            self._held.enter_context(locked(self.path / ".lock", seconds=0))
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
            raise UserError(
                f"{self.path} was made by another config:\n"
                + "\n".join(differences)
                + "\nChoose another folder (hydra.run.dir=...) or the same settings"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def environment() -> list[str]:
    """What ran: command, Python, platform and packages, a line each."""
    lines = [f"command: {' '.join(sys.argv)}", f"python: {platform.python_version()}"]
    lines += [f"platform: {platform.platform()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package}: {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package}: not installed as a package")
    return lines
