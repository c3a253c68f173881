"""The training state: everything that the next step of a run depends on."""

from typing import Any

import torch
from torch import Tensor

from anm.energies import build_energy
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.registry import resolve
from anm.solvers.solver import Solver
from anm.training.checkpoints import CheckpointError, checkpoint_errors
from anm.training.ema import decay_at
from anm.training.learning_rate import rate_at
from anm.training.losses import contrastive_weight
from anm.training.metrics import TrainingMetrics
from anm.training.timer import StepTimer
from anm.utils.random_streams import RandomStreams

ADAM_BETAS = (0.9, 0.99)  # as in the code released with arXiv 2406.11179
TERMS = ("denoise", "contrast", "grad_norm", "loss")  # reported in this order if several fail at one step


class TrainingError(RuntimeError):
    """Training cannot go on: a loss or gradient is not finite."""


class TrainingState:
    """Weights, averages, optimiser, random streams, metrics and step of a run.

    steps: the length of the training. annealed: step -> averaged weights of a run that ends there.
    """

    def __init__(self, params: RunParams, steps: int | None = None):
        self.params, self.device = params, params.torch_device()
        self.steps = self.last_step = params.train_steps if steps is None else steps
        self.annealed: dict[int, dict[str, Tensor]] = {}
        self.streams = RandomStreams(params.seed_list, self.device)
        self.task = params.task_object()
        self.model = build_energy(params).reset(self.streams.generators["weights"]).to(self.device)
        self.average = build_energy(params).to(self.device).requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.compiled = params.compiles(self.device) and self.model.compilable
        if self.compiled:
            self.model.compile_evaluate(dynamic=False)
            self.average.compile_evaluate()
        self.schedule = Schedule(params.noise_levels).to(self.device)
        self.strategy = resolve("strategy", params.strategy)
        self.weights = list(self.model.parameters())
        on_gpu = self.device.type == "cuda"  # a CUDA graph needs Adam's step counter on the device
        rate = torch.tensor(params.learning_rate, device=self.device) if on_gpu else params.learning_rate
        self.optimiser = torch.optim.Adam(self.weights, rate, ADAM_BETAS, fused=True, capturable=on_gpu)
        self.metrics = TrainingMetrics(self.steps, params.noise_levels)
        self.miner_state: dict[str, Tensor] = {}
        self.step = 0
        self.timing = StepTimer.timing_at_start() | {"compiled": self.compiled}
        self.first_non_finite: dict[str, Tensor] = {}
        # Numbers that differ from step to step, on the device, where a CUDA graph reads them
        self.scalars = {"step": torch.zeros((), dtype=torch.int64, device=self.device)}
        self.scalars |= {name: torch.zeros((), device=self.device) for name in ("contrastive_weight", "new_share")}

    def set_step_scalars(self) -> None:
        """Fill in the numbers that the next step uses."""
        self.scalars["contrastive_weight"].fill_(contrastive_weight(self.params, self.step))
        self.scalars["step"].fill_(self.step + 1)
        self.scalars["new_share"].fill_(1 - decay_at(self.step + 1))
        rate = rate_at(self.params, self.step, self.last_step)
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):  # a CUDA graph reads it from there
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def record_non_finite(self, per_seed: dict[str, Tensor]) -> None:
        """Keep each term's first step with a non-finite value, on the device; 0 for none."""
        for name, value in per_seed.items():
            first = self.first_non_finite.setdefault(name, torch.zeros_like(value, dtype=torch.int64))
            first.copy_(torch.where((first == 0) & ~torch.isfinite(value), self.scalars["step"], first))

    def check_finite(self) -> None:
        """Raises `TrainingError` naming the first term that was not finite."""
        found = []
        for name, first in self.first_non_finite.items():
            steps = zip(first.tolist(), self.params.seed_list)
            found += [(step, TERMS.index(name), name, seed) for step, seed in steps if step]
        if found:
            step, _, name, seed = min(found)
            raise TrainingError(
                f"step {step}: {name} of seed {seed} is not finite (strategy {self.params.strategy}, "
                f"learning_rate {self.params.learning_rate:g}); lower learning_rate or contrastive_weight. "
                "The last checkpoint is from before this step. best.pt there, if any, has the lowest validation error"
            )

    def mutable_tensors(self) -> dict[str, Tensor]:
        """Every tensor that a step writes to, by name; complete after the first step."""
        optimiser = {
            f"{i}/{name}": value
            for i, state in enumerate(self.optimiser.state.values())
            for name, value in state.items()
        }
        parts = {
            "weight": dict(self.model.named_parameters()),
            "average": dict(self.average.named_parameters()),
            "optimiser": optimiser,
            "miner": self.miner_state,
            "sum": self.metrics.sums,
            "not finite": self.first_non_finite,
        }
        return {f"{part} {name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def checkpoint(self) -> dict[str, Any]:
        """The content of a checkpoint, without parameters and step."""
        return {
            "device": self.device.type,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "streams": self.streams.state(),
            "miner": self.miner_state,
            "curves": self.metrics.state(),
            "timing": self.timing,
            "annealed": self.annealed,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises `CheckpointError` if the kind of device differs."""
        if saved["device"] != self.device.type:
            raise CheckpointError(
                f"device = {self.params.device!r}: the checkpoint at step {saved['step']} was written on "
                f"{saved['device']}, whose random streams cannot continue on {self.device.type}; "
                "run there, or set resume = false"
            )
        with checkpoint_errors(saved):
            self.model.load_state_dict(saved["model"])
            self.optimiser.load_state_dict(saved["optimiser"])
            for group in self.optimiser.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"] = group["lr"].to(self.device)
            self.streams.restore(saved["streams"])
            self.miner_state.update({name: value.to(self.device) for name, value in saved["miner"].items()})
        self.restore_average(saved)
        self.timing["resumed"] += 1

    def restore_average(self, saved: dict[str, Any]) -> None:
        """Restore what a solver needs: averaged weights, metrics, step and timing."""
        with checkpoint_errors(saved):
            self.average.load_state_dict(saved["average"])
            self.metrics.restore(saved["curves"], self.device)
            self.annealed = dict(saved.get("annealed", {}))  # older checkpoints have none
            self.step, self.timing = saved["step"], self.timing | saved["timing"]

    def solver(self) -> Solver:
        """A solver with the averaged weights as they are now."""
        history = self.metrics.history
        return Solver(self.params, self.average, self.schedule, self.step, history, self.timing, self.annealed)
