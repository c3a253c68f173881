"""anm: does adversarial negative mining help an energy-based diffusion model to invert matrices?"""

import os

__version__ = "0.1.0"

# Threads that wait for one another spin; with a core taken by somebody else that makes a step thirty times as long.
# A short spin costs next to nothing on an idle machine. Read when torch is first imported, so it stands here.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = "10000"

from anm.checkpoint import CheckpointError
from anm.energy import EnergyMLP
from anm.evaluate import evaluate
from anm.interrupt import Interrupted
from anm.landscape import Solver
from anm.miners import Mine, miner
from anm.params import ParamError, RunParams
from anm.record import RecordError, collect_runs, emit_record, read_run, run_record
from anm.trainer import TrainingError, load, train, untrained

__all__ = [
    "CheckpointError",
    "EnergyMLP",
    "Interrupted",
    "Mine",
    "ParamError",
    "RecordError",
    "RunParams",
    "Solver",
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
