"""The training loop: one stack of seeds, averaged weights, checkpoints that resume."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from anm import checkpoint
from anm.checkpoint import CheckpointError
from anm.clock import StepClock, seconds_per_step
from anm.curves import Curves
from anm.device import keep_memory, precision
from anm.energy import Energy
from anm.evaluate import score, solve_errors
from anm.interrupt import Interrupted, StopSignal
from anm.landscape import Solver
from anm.losses import contrastive_weight, row_losses
from anm.matrices import FIT_STREAM, OFFSETS, draw_problems, frozen_problems
from anm.miners import Mine
from anm.params import RunParams, chosen
from anm.provenance import git_state
from anm.replayed import Replayed
from anm.schedule import Schedule
from anm.streams import Streams

BETAS = (0.9, 0.99)  # Adam's, and the largest gradient norm: as in the code released with arXiv 2406.11179
MAX_GRAD_NORM = 1.0
EMA_DECAY = 0.9995  # a step; the released code's 0.995 every ten steps, with a warm-up so that short runs average too
VALIDATIONS, VALIDATION_PROBLEMS = 8, 100
CHECKPOINT_SECONDS = 60.0
TERMS = ("denoise", "contrast", "grad_norm", "loss")  # by which is to blame where several are not finite at one step


class TrainingError(RuntimeError):
    """Training cannot go on: a loss or gradient that is not finite."""


def decay_at(step: int) -> float:
    """How much of the averaged weights a step keeps: less at first, so that they forget where they started."""
    return min(EMA_DECAY, (1 + step) / (10 + step))


def clip_per_seed(gradients: list[Tensor], largest: float) -> Tensor:
    """Scale each seed's gradient to a norm of at most `largest`, in place; returns the norms before, (S,)."""
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
    norm = torch.linalg.vector_norm(norms, dim=0)
    scale = (largest / (norm + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
    return norm


class Training:
    """All that a run's next step depends on: weights, averages, optimiser, streams, and how far it is."""

    def __init__(self, params: RunParams):
        self.params, self.device = params, params.torch_device()
        self.streams = Streams(params.seed_list, self.device)
        energy = chosen("energy", params.energy)
        model: Energy = energy(params.n, params.noise_levels, len(params.seed_list))
        self.model = model.reset(self.streams.generators["weights"]).to(self.device)
        self.average = (
            energy(params.n, params.noise_levels, len(params.seed_list)).to(self.device).requires_grad_(False)
        )
        self.average.load_state_dict(self.model.state_dict())
        self.compiled = params.compiles(self.device)
        if self.compiled:
            self.model.compile_evaluate(dynamic=False)
            self.average.compile_evaluate()
        self.schedule = Schedule(params.noise_levels).to(self.device)
        self.strategy = chosen("strategy", params.strategy)
        self.weights = list(self.model.parameters())
        on_gpu = self.device.type == "cuda"  # where the counter of Adam's steps must be on the device, to be replayed
        self.optimiser = torch.optim.Adam(self.weights, params.learning_rate, BETAS, fused=True, capturable=on_gpu)
        self.curves = Curves(params.train_steps, params.noise_levels)
        self.miner_state: dict[str, Tensor] = {}
        self.step = 0
        self.timing = StepClock.timing_at_start() | {"compiled": self.compiled}
        self.not_finite: dict[str, Tensor] = {}
        self.now = {"step": torch.zeros((), dtype=torch.int64, device=self.device)}
        self.now |= {name: torch.zeros((), device=self.device) for name in ("contrastive_weight", "forget")}

    def draw(self) -> tuple[Mine, Tensor]:
        """The next batch, as a miner sees it, and the noise of the denoising loss (S, B, n, n)."""
        p = self.params
        A, x0 = draw_problems(self.streams.uniform("problems", p.batch_size, p.n, p.n))
        t = self.streams.integers("noise", p.noise_levels, p.batch_size)
        eps = self.streams.normal("noise", p.batch_size, p.n, p.n)
        landscape = self.model.landscape(self.model.encode(A), t)
        return Mine(A, x0, t, landscape, self.schedule, p, self.streams, self.miner_state), eps

    def update(self, compute: Callable[[], None] | None = None) -> None:
        """One optimiser step, its work done by `compute` or by a recording of it."""
        self.tell_step()
        (compute or self.compute)()
        self.step += 1

    def tell_step(self) -> None:
        """Put the numbers that differ from step to step where `compute` reads them."""
        self.now["contrastive_weight"].fill_(contrastive_weight(self.params, self.step))
        self.now["step"].fill_(self.step + 1)
        self.now["forget"].fill_(1 - decay_at(self.step + 1))

    def compute(self) -> None:
        """The work of a step: the same operations on the same tensors every time, so that a GPU can replay them."""
        mine, eps = self.draw()
        rows = row_losses(mine.landscape, mine, eps, self.strategy)
        per_seed = {name: rows[name].mean(1) for name in ("denoise", "contrast") if name in rows}
        loss = per_seed["denoise"] + self.now["contrastive_weight"] * per_seed.get("contrast", 0.0)
        self.optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # seeds share nothing, so the gradient of the sum is each seed's own
        per_seed |= {"loss": loss, "grad_norm": clip_per_seed([w.grad for w in self.weights], MAX_GRAD_NORM)}
        self.optimiser.step()
        with torch.no_grad():  # or the averages would keep a graph that grows with every step
            for average, weight in zip(self.average.parameters(), self.weights):
                average.lerp_(weight, self.now["forget"])
        per_seed = {name: value.detach() for name, value in per_seed.items()}
        self.curves.add(rows, mine.t, per_seed)
        self.note_not_finite(per_seed)

    def note_not_finite(self, per_seed: dict[str, Tensor]) -> None:
        """Remember, on the device, the first step at which each term of each seed was not finite."""
        for name, value in per_seed.items():
            first = self.not_finite.setdefault(name, torch.zeros_like(value, dtype=torch.int64))
            first.copy_(torch.where((first == 0) & ~torch.isfinite(value), self.now["step"], first))

    def changing(self) -> dict[str, Tensor]:
        """Every tensor that `compute` writes to, by name. A step before has made them all."""
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
            "sum": self.curves.sums,
            "not finite": self.not_finite,
        }
        return {f"{part} {name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def check_finite(self) -> None:
        """Raises `TrainingError` naming step, strategy, term and seed of the first value that was not finite."""
        found = []
        for name, first in self.not_finite.items():
            found += [
                (step, TERMS.index(name), name, seed)
                for step, seed in zip(first.tolist(), self.params.seed_list)
                if step
            ]
        if found:
            step, _, name, seed = min(found)
            raise TrainingError(
                f"step {step}: {name} of seed {seed} is not finite (strategy {self.params.strategy}, "
                f"learning_rate {self.params.learning_rate:g}); the last checkpoint is from before it"
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside parameters and step."""
        return {
            "device": self.device.type,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "streams": self.streams.state(),
            "miner": self.miner_state,
            "curves": self.curves.state(),
            "timing": self.timing,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint's content. Raises `CheckpointError` if it was written on another kind of device."""
        if saved["device"] != self.device.type:
            raise CheckpointError(
                f"device = {self.params.device!r}: the checkpoint at step {saved['step']} was written on {saved['device']}, whose "
                f"random streams cannot go on on {self.device.type}; run there, or set resume = false"
            )
        with checkpoint.taking_over(saved):
            self.model.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.streams.restore(saved["streams"])
            self.miner_state.update({name: value.to(self.device) for name, value in saved["miner"].items()})
            self.curves.restore(saved["curves"], self.device)
            self.step, self.timing = saved["step"], self.timing | saved["timing"]
            self.timing["resumed"] += 1

    def solver(self) -> Solver:
        """A solver with the averaged weights of now."""
        return Solver(self.params, self.average, self.schedule, self.step, self.curves.history, self.timing)

    def validate(self) -> None:
        """A point of the learning curve: the averaged weights on frozen problems that no test set holds."""
        test = frozen_problems(self.params.n, OFFSETS["same"], VALIDATION_PROBLEMS, FIT_STREAM)
        errors, _ = solve_errors(self.solver(), test)
        self.curves.history["mse_step"].append(self.step)
        self.curves.history["mse_same"].append(score(errors)["mse"])


def train(params: RunParams, say=print, checkpoint_seconds: float = CHECKPOINT_SECONDS) -> Solver:
    """Train one stack of seeds and give the solver with its averaged weights.

    Resumes from the newest checkpoint of the same run where `params.resume`; the end is the same as without a
    break. `say` gets the lines of progress. Raises `ParamError` and `CheckpointError` before any work,
    `TrainingError` when a loss is not finite, `Interrupted` after a signal, with a checkpoint written.
    """
    # Validate and set up
    params.check_machine()
    device = params.torch_device()
    how = "compiled" if params.compiles(device) else "eager"
    say(
        f"strategy {params.strategy}, energy {params.energy}, seeds {params.seeds}, on {device} ({how}), run {params.identity()}"
    )
    with precision(params.precision):
        keep_memory()
        training = Training(params)
        training.timing["code"] = code = git_state()

        # Resume
        saved = checkpoint.latest(params, say) if params.resume else checkpoint.discard(params)
        if saved:
            training.restore(saved)
            if tuple(training.timing.get("code", code)) != code:
                training.timing["code"] = (code[0], True)  # no commit has both legs' code
            say(f"resumed at step {training.step} of {params.train_steps}")

        # Loop
        run_loop(training, say, checkpoint_seconds)
    return training.solver()


def run_loop(training: Training, say, checkpoint_seconds: float) -> None:
    """Steps until the last one; at the end of each window a line, now and then a validation and a checkpoint."""
    params, curves = training.params, training.curves
    validate_every = max(1, params.train_steps // VALIDATIONS)
    clock, saved_at = StepClock(training.timing, training.device), time.monotonic()
    update = Replayed(training, say) if params.replays(training.device) else training.update

    with StopSignal() as stop:
        while training.step < params.train_steps:
            update()
            if training.device.type == "cpu":  # elsewhere this would stall the device at every step
                training.check_finite()
            if curves.due(training.step):
                with clock.paused():
                    training.check_finite()
                    clock.close_window(curves.steps_since_closing(training.step))
                    say(progress(training, curves.close(training.step)))
            over = training.step == params.train_steps
            if over or training.step % validate_every == 0:
                with clock.paused():
                    training.validate()
            if over or stop.received or time.monotonic() - saved_at > checkpoint_seconds:
                with clock.paused():
                    training.check_finite()
                    checkpoint.save(params, training.step, training.state())
                    saved_at = time.monotonic()
            if stop.received and not over:
                raise Interrupted(
                    f"stopped at step {training.step} of {params.train_steps} by {stop.received}; "
                    "a checkpoint is written: with resume = true the same command goes on from it"
                )


# How the log line calls what it shows, and in what format.
SHOWN = {
    "denoise": "denoise {:.4f}",
    "contrast": "contrast {:.4f}",
    "energy_positive": "E+ {:.3g}",
    "energy_negative": "E- {:.3g}",
    "distance": "distance {:.3f}",
    "accepted": "kept {:.0%}",
}


def progress(training: Training, means: dict[str, float]) -> str:
    """One line of the log: step, terms of the loss, energies, distance, share of landscape steps kept, time."""
    done, steps = training.step, training.params.train_steps
    each = seconds_per_step(training.timing)
    shown = "  ".join(text.format(means[name]) for name, text in SHOWN.items() if name in means)
    return (
        f"step {done:>{len(str(steps))}}/{steps}  {shown}  {1e3 * each:.3g} ms/step  {each * (steps - done):.0f} s left"
    )


def untrained(params: RunParams) -> Solver:
    """The solver that a run starts from: each seed's initial weights."""
    return Training(params).solver()


def load(path, device: str = "auto") -> Solver:
    """The solver in a checkpoint, to answer problems with on any device.

    Raises `CheckpointError` on a file that is missing, damaged or foreign.
    """
    saved = checkpoint.read(path)
    compile = "no" if saved["params"].compile == "no" else "auto"  # "yes" was said of another machine
    params = RunParams(**saved["params"].resolved() | {"device": device, "compile": compile})
    training = Training(params)
    with checkpoint.taking_over(saved):
        training.average.load_state_dict(saved["average"])
        training.step, training.timing = saved["step"], saved["timing"]
        training.curves.restore(saved["curves"], training.device)
    return training.solver()
