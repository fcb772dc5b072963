"""The folder of a job with many members: six files, however many there are."""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meddistill.errors import DamagedError
from meddistill.files.atomic import write_atomically, write_json
from meddistill.runs.runfolder import RunFolder, environment

METRICS, PREDICTIONS, MEMBERS = "metrics.csv", "predictions.parquet", "members.zip"


class StackFolder(RunFolder):
    """A run folder whose student is many.

    Files: `config.yaml` (resolved), `job.json` (what decides the results, the environment and, once
    it is finished, a summary), `metrics.csv` (a row a member), `predictions.parquet` (a row a
    member and row), `members.zip` (weights and preprocessing), the log. While it is at work,
    `parts/` holds finished chunks of members, which a repeat need not train again.
    """

    settings_files = ("config.yaml", "job.json")
    record = "job.json"
    facts = ("score", "members", "finished", "seconds", "tables")

    @property
    def parts(self) -> Path:
        """Folder of finished chunks."""
        return self.path / "parts"

    def made_by(self) -> dict[str, Any] | None:
        """The identity of the job that made the folder; None in an empty one."""
        job = self._record(self.record)
        return None if job is None else self._identity(job)

    def metrics(self) -> dict[str, Any] | None:
        """The summary of a finished job; None of an unfinished one."""
        job = self._record(self.record)
        return None if job is None else self.sound(job.get("summary"))

    def write_settings(self, current: Mapping[str, Any]) -> None:
        """Write what makes the job."""
        write_json(self.path / self.record, {"identity": current, "environment": environment()})
        self.write_config()

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Put the summary into the record, which marks the job as finished; drop what is merged."""
        job = self._record(self.record) or {}
        write_json(self.path / self.record, {**job, "summary": metrics})
        shutil.rmtree(self.parts, ignore_errors=True)
        self.leave()

    def discard(self) -> None:
        """Take back what `open` wrote, unless something was trained."""
        if not self.parts.exists():
            super().discard()

    def has_part(self, name: str) -> bool:
        """Whether a chunk is finished."""
        return (self.parts / f"{name}.ckpt").exists()

    def save_part(self, name: str, part: Mapping[str, Any]) -> None:
        """Write a finished chunk, whole or not at all; its training state is no longer needed."""
        write_atomically(self.parts / f"{name}.ckpt", dumped(part))
        shutil.rmtree(self.parts / name, ignore_errors=True)

    def read_part(self, name: str) -> dict[str, Any]:
        """A finished chunk."""
        file = self.parts / f"{name}.ckpt"
        return undumped(file.read_bytes(), file)

    def _identity(self, job: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(job.get("identity"), dict):
            raise DamagedError(self.path / self.record, "it does not say what made the job")
        return dict(job["identity"])


def dumped(value: Mapping[str, Any]) -> bytes:
    """Tensors and plain values as bytes, loadable with `weights_only`."""
    import torch  # here, since a finished job is shown without it

    buffer = io.BytesIO()
    torch.save(dict(value), buffer)
    return buffer.getvalue()


def undumped(content: bytes, file: Path) -> dict[str, Any]:
    """What `dumped` made bytes of, read from `file`; nothing else is unpickled.

    Raises:
        DamagedError: The bytes are cut, or hold something else.
    """
    import torch

    try:
        value = torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise DamagedError(file, str(error)) from error
    if not isinstance(value, dict):
        raise DamagedError(file, f"it holds a {type(value).__name__}")
    return value


def read_entry(folder: Path, entry: str) -> bytes:
    """One entry of a job's `members.zip`.

    Raises:
        DamagedError: The archive is cut, or the entry's checksum is not that of its bytes.
    """
    try:
        with zipfile.ZipFile(folder / MEMBERS) as archive:
            return archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise DamagedError(folder / MEMBERS, str(error)) from error
