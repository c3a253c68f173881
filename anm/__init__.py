"""anm: does adversarial negative mining help an energy-based diffusion model to invert matrices?"""

__version__ = "0.1.0"

from anm.checkpoint import CheckpointError
from anm.energy import EnergyMLP
from anm.evaluate import evaluate
from anm.landscape import Solver
from anm.miners import Mine, miner
from anm.params import ParamError, RunParams
from anm.record import RecordError, collect_runs, emit_record, read_run, run_record
from anm.trainer import Interrupted, TrainingError, load, train, untrained

__all__ = [
    "CheckpointError", "EnergyMLP", "Interrupted", "Mine", "ParamError", "RecordError", "RunParams", "Solver",
    "TrainingError", "collect_runs", "emit_record", "evaluate", "load", "miner", "read_run", "run_record", "train",
    "untrained",
]
