"""Hydra's Optuna sweeper, made to go on where it was killed."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from meddistill.config.confdir import conf_dir

SQLITE = "sqlite:///"


def offer() -> None:
    """Make it `hydra/sweeper=optuna`, in place of the choice that the plugin itself brings.

    A yaml of that name in `conf` would be checked against the plugin's and refused by Hydra.
    """
    with suppress(ImportError):  # its own is registered first, and ours takes its place
        import hydra_plugins.hydra_optuna_sweeper.config  # noqa: F401
    node = OmegaConf.load(conf_dir() / "hydra" / "sweeper" / "_optuna.yaml")
    ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=node, provider="ours")


class OptunaSweeper(Sweeper):
    """Trials in a study that is kept, so that a repeated command runs the missing ones alone.

    Args:
        sampler: Config node of an Optuna sampler.
        n_trials: Trials in all, those of earlier commands included.
        n_jobs: Trials at once.
        max_failure_rate: Of the trials at once; more failures end the sweep.
        storage: Where the study is kept, as Optuna's URL; None is the sweep's folder.
        study_name: Its name there.
        params: The search space, in Hydra's sweep syntax.

    Raises:
        UserError: Optuna is not installed, or a setting is out of range.
    """

    def __init__(
        self,
        sampler: Mapping[str, Any],
        n_trials: int,
        n_jobs: int,
        max_failure_rate: float,
        storage: str | None,
        study_name: str,
        params: Mapping[str, str] | None = None,
    ) -> None:
        # Imported here: Hydra imports every sweeper at every start, and these are extras.
        from meddistill.config.compose import build
        from meddistill.errors import UserError, integer, number

        integer("hydra.sweeper.n_trials", n_trials, at_least=1)
        integer("hydra.sweeper.n_jobs", n_jobs, at_least=1)
        number("hydra.sweeper.max_failure_rate", max_failure_rate, at_least=0, at_most=1)
        if str(sampler.get("_target_")).endswith("GridSampler"):
            raise UserError(
                "hydra.sweeper.sampler: a grid is swept faster, and stacked, by hydra/sweeper="
                "stacked; samplers for Optuna are TPESampler, RandomSampler, CmaEsSampler"
            )
        try:
            from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
        except ImportError:
            raise UserError(
                "hydra/sweeper=optuna needs Optuna: pip install 'meddistill[optuna]'"
            ) from None
        self.wanted, self.storage, self.study_name = n_trials, storage, study_name
        self.sweeper = OptunaSweeperImpl(
            sampler=build(sampler, "hydra.sweeper.sampler"),
            direction="minimize",  # settled by the monitor in `setup`
            storage=storage,
            study_name=study_name,
            n_trials=n_trials,
            n_jobs=n_jobs,
            max_failure_rate=max_failure_rate,
            search_space=None,
            custom_search_space=None,
            params=OmegaConf.create(dict(params or {})),
        )

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Learn what is launched, and which way its score is better."""
        from meddistill.measures import lower_is_better

        monitor = str(config.get("monitor", "val/log_loss"))
        self.sweeper.direction = "minimize" if lower_is_better(monitor) else "maximize"
        self.config, self.folder = config, str(config.hydra.sweep.dir)
        if self.storage is None:
            self.storage = f"{SQLITE}{self.folder}/optuna.db"
        self.sweeper.storage = self.storage
        self.sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that are missing.

        Raises:
            UserError: The search space holds what is to be averaged over, or no trial finished.
        """
        from meddistill.config.known import check_sweep
        from meddistill.errors import UserError

        given = [*self.sweeper._parse_sweeper_params_config(), *arguments]
        overrides = OverridesParser.create().parse_overrides(given)
        assert self.config is not None  # by `setup`
        check_sweep(self.config, overrides)
        _refuse_replicates(overrides)
        if str(self.storage).startswith(SQLITE):
            Path(str(self.storage).removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        _quiet()
        study = self._study()
        self._put_back(study)
        self.sweeper.n_trials = self.wanted - _finished(study)
        try:
            self.sweeper.sweep(arguments)
        except ValueError:  # of its looking for the best of none
            if _finished(study):
                raise
            raise UserError(
                f"no trial finished; the column error of {self.folder}/jobs.csv says why"
            ) from None

    def _study(self) -> Any:
        import optuna

        return optuna.create_study(
            study_name=self.study_name,
            storage=self.storage,
            direction=self.sweeper.direction,
            load_if_exists=True,
        )

    def _put_back(self, study: Any) -> None:
        """Have killed trials run again, first of all; go on counting where they ended."""
        from optuna.exceptions import ExperimentalWarning
        from optuna.trial import TrialState

        trials = study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ExperimentalWarning)  # of enqueue_trial
                    study.enqueue_trial(trial.params)
                study.tell(trial.number, state=TrialState.FAIL)
        if trials:
            self.sweeper.sampler.reseed_rng()  # or it would suggest the same as at the beginning
        self.sweeper.job_idx = sum(trial.state != TrialState.WAITING for trial in trials)


def _finished(study: Any) -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))


def _quiet() -> None:
    """Leave out what they print, above all the winner's own score: the report knows better."""
    for name in ("optuna", "hydra_plugins.hydra_optuna_sweeper"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _refuse_replicates(overrides: Sequence[Override]) -> None:
    from meddistill.errors import UserError
    from meddistill.evaluation.surface import REPLICATES

    for override in overrides:
        key = override.key_or_group
        if override.is_sweep_override() and key in REPLICATES:
            axis = str(override.input_line).lstrip("+")
            raise UserError(
                f"{key} is nothing to optimise: the best of several would be luck. Average over "
                f"it inside each job: stack.axes=['{axis}']"
            )
