"""Do mined negatives help an energy-based diffusion model to reason?"""

__version__ = "0.1.0"

from anm.energies import AutogradEnergy, EnergyMLP
from anm.evaluation.scores import evaluate
from anm.miners import MiningContext
from anm.params import ParamError, RunParams
from anm.records.collect import RecordError, collect_runs
from anm.records.read import read_run
from anm.records.write import emit_record, run_record
from anm.registry import miner
from anm.solvers.solver import Solver
from anm.tasks import Task
from anm.training.checkpoints import CheckpointError
from anm.training.loop import load, train, untrained
from anm.training.state import TrainingError
from anm.utils.signals import Interrupted

__all__ = [
    "AutogradEnergy",
    "CheckpointError",
    "EnergyMLP",
    "Interrupted",
    "MiningContext",
    "ParamError",
    "RecordError",
    "RunParams",
    "Solver",
    "Task",
    "TrainingError",
    "collect_runs",
    "emit_record",
    "evaluate",
    "load",
    "miner",
    "read_run",
    "run_record",
    "train",
    "untrained",
]
