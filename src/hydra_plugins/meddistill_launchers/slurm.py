"""Hydra's submitit launcher for SLURM, made to lose no job."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """Puts a sweep's jobs into SLURM's queue and waits for them.

    A job that SLURM preempts or that nears its time limit saves and is requeued by itself (see
    `meddistill.runs.preemption`). One that is killed outright is a failed job of the sweep; the
    others go on.

    Args:
        params: Keys of hydra-submitit-launcher's `submitit_slurm`.

    Raises:
        UserError: hydra-submitit-launcher or SLURM is not there, or SLURM keeps no accounts.
    """

    def __init__(self, **params: Any) -> None:
        # Imported here: Hydra imports every launcher at every start, and submitit is an extra.
        from meddistill.sweeps.slurm import check_cluster, make_job

        check_cluster()
        self._job = make_job(params)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what a job is made from."""
        self._job.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Queue the jobs, wait for all, and return what each came to."""
        from meddistill.sweeps.slurm import launch

        return launch(self._job, job_overrides, initial_job_idx)
