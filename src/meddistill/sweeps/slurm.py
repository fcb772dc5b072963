"""Jobs in SLURM's queue: a killed one is a failed job, and the others go on."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from omegaconf import DictConfig, open_dict

from meddistill.errors import UserError
from meddistill.files.atomic import shown
from meddistill.runs.pace import Pace
from meddistill.sweeps.jobs import note_job

log = logging.getLogger(__name__)
INSTALL = "pip install 'meddistill[slurm]'"
SHARED = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes",
          "name", "stderr_to_stdout")  # fmt: skip
"""Parameters that submitit names alike for every kind of cluster; SLURM's own have a prefix."""


def check_cluster() -> None:
    """Refuse to queue jobs where nobody would learn how they ended.

    Raises:
        UserError: There is no SLURM here, or it keeps no accounts.
    """
    if shutil.which("sbatch") is None:
        raise UserError(
            "hydra/launcher=slurm: there is no sbatch here; run it on a login node of the cluster, "
            "or without hydra/launcher on this machine"
        )
    said = subprocess.run(["sacct", "--noheader"], capture_output=True, text=True, check=False)
    if said.returncode:
        raise UserError(
            "hydra/launcher=slurm: sacct, by which a killed job is found out, answers: "
            f"{(said.stderr or said.stdout).strip()}. SLURM needs its accounting (slurmdbd); "
            "without it, queue the command itself: sbatch --requeue --signal=USR1@90 --wrap '...'"
        )


def make_job(params: Mapping[str, Any]) -> Any:
    """hydra-submitit-launcher's launcher, which is what runs in SLURM's jobs.

    Raises:
        UserError: It is not installed.
    """
    try:
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
    except ImportError as error:
        raise UserError(f"hydra/launcher=slurm needs hydra-submitit-launcher: {INSTALL}") from error
    return SlurmLauncher(**params)


def launch(
    job: Any, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> list[JobReturn]:
    """Queue the jobs and wait for all of them, whatever becomes of any.

    Args:
        job: As `make_job` gives it, set up.
        job_overrides: Of each job.
        initial_job_idx: Number of the first.

    Raises:
        UserError: SLURM doesn't take them.
    """
    numbered = list(enumerate(job_overrides, start=initial_job_idx))
    for number, overrides in numbered:
        log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
    queued = _queue(job, numbered)
    log.info(
        "queued as SLURM job %s; logs below %s",
        queued[0].job_id.partition("_")[0], shown(Path(queued[0].paths.folder).parent),
    )  # fmt: skip
    pace, results = Pace("{} jobs have ended", len(queued)), []
    try:
        for (number, overrides), each in zip(numbered, queued, strict=True):
            results.append(_result(job, number, overrides, each))
            pace.step()
    except KeyboardInterrupt:
        log.warning("the jobs stay in the queue; scancel ends them")
        raise
    return results


def _queue(job: Any, numbered: Sequence[tuple[int, Sequence[str]]]) -> list[Any]:
    """Submit one array."""
    import submitit

    state = Singleton.get_state()
    arguments = [
        (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", state)
        for number, overrides in numbered
    ]
    Path(str(job.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    executor = submitit.AutoExecutor(folder=job.params["submitit_folder"], cluster="slurm")
    try:
        executor.update_parameters(**_parameters(job.params))
        queued: list[Any] = executor.map_array(job, *zip(*arguments, strict=True))
    except (NameError, TypeError, ValueError, submitit.core.utils.FailedJobError) as error:
        raise UserError(f"hydra/launcher=slurm: the jobs can't be queued: {error}") from error
    return queued


def _parameters(params: Mapping[str, Any]) -> dict[str, Any]:
    """Submitit's parameters; SLURM's signal is ours, and a preempted job may run again."""
    given = {k: v for k, v in params.items() if v is not None and k != "submitit_folder"}
    signal = f"USR1@{given.pop('signal_delay_s')}"
    ours = {"signal": signal, "requeue": True}
    given["additional_parameters"] = {**ours, **given.get("additional_parameters", {})}
    return {k if k in SHARED else f"slurm_{k}": v for k, v in given.items()}


def _result(job: Any, number: int, overrides: Sequence[str], queued: Any) -> JobReturn:
    """What a job returned, or its failure where SLURM or the machine ended it."""
    try:
        found: JobReturn = queued.results()[0]
    except Exception as error:  # of a killed job submitit raises its own, and others
        said = f"SLURM job {queued.job_id} ended as {queued.state}; its log: {queued.paths.stderr}"
        failed = JobReturn(overrides=list(overrides), status=JobStatus.FAILED)
        failed.return_value = UserError(said)
        log.debug("submitit: %s", error)
        config = _config(job, number, overrides)
        folder = Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)
        note_job(config, folder, failed)
        return failed
    return found


def _config(job: Any, number: int, overrides: Sequence[str]) -> DictConfig:
    """A job's config, composed here as the job composed it."""
    config: DictConfig = job.hydra_context.config_loader.load_sweep_config(
        job.config, list(overrides)
    )
    with open_dict(config.hydra.job):
        config.hydra.job.num = number
    return config
