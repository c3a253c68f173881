"""The training loop: one stack of seeds, with metrics, validation and checkpoints that resume."""

import time
from collections.abc import Callable

from anm.params import RunParams
from anm.solvers.errors import mse_per_seed, solve_errors
from anm.solvers.solver import Solver
from anm.tasks.frozen import FIT_STREAM, frozen_problems
from anm.training import checkpoints
from anm.training.compute import TrainingCompute, training_compute
from anm.training.cuda_graph import CudaGraphStep
from anm.training.learning_rate import decay_start
from anm.training.snapshot import Snapshot
from anm.training.state import TrainingState
from anm.training.step import training_step
from anm.training.timer import StepTimer, seconds_per_step
from anm.utils.device import keep_memory, precision
from anm.utils.git import git_state
from anm.utils.locations import shipped_energies
from anm.utils.progress_line import LinePrinter, ProgressLine
from anm.utils.signals import Interrupted, StopSignal

VALIDATIONS, VALIDATION_PROBLEMS = 8, 100  # points of the learning curve; problems per point
CHECKPOINT_SECONDS = 60.0
Watch = Callable[[Solver], None]


def train(
    params: RunParams,
    log: Callable[[str], None] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watch | None = None,
) -> Solver:
    """Train one stack of seeds; returns the solver with its averaged weights.

    With `params.resume` it continues from the newest checkpoint of the same run; the result is the same as without
    interruption. `log` receives the lines of progress (default: they are printed). `watch` is called at each point of
    the learning curve. Raises `ParamError` and `CheckpointError` before any work, `TrainingError` when a loss is not
    finite, `Interrupted` after a signal, with a checkpoint written.
    """
    if log is None:
        with LinePrinter() as printer:
            return train(params, printer, checkpoint_seconds, watch)
    # Validate
    params.check_machine()
    device = params.torch_device()
    how = "compiled" if params.compiles(device) else "eager"
    log(
        f"strategy {params.strategy}, energy {params.energy}, seeds {params.seeds}, "
        f"on {device} ({how}), run {params.run_id()}"
    )
    warn_about_bound(params, log)
    with precision(params.precision):
        # Set up
        keep_memory()
        compute = training_compute(params)
        log(describe_compute(params, compute))
        state = TrainingState(params, compute.steps)
        state.timing["code"] = code = git_state()

        # Resume
        saved = checkpoints.latest(params, compute.steps, log) if params.resume else checkpoints.discard(params)
        if saved:
            state.restore(saved)
            if tuple(state.timing.get("code", code)) != code:
                state.timing["code"] = (code[0], True)  # no commit has the code of both parts of the run
            log(f"resumed at step {state.step} of {state.steps}")

        # Loop
        run_loop(state, compute.points, log, checkpoint_seconds, watch)
    return state.solver()


def warn_about_bound(params: RunParams, log) -> None:
    """Log how much of the right answers `answer_bound` cuts off, on problems that no test set contains."""
    task, bound = params.task_object(), params.answer_bound
    for split, difficulty in task.splits.items():
        answer = frozen_problems(task, params.n, difficulty, VALIDATION_PROBLEMS, FIT_STREAM).answer
        cut = (answer.abs() - bound).clamp(min=0)
        if cut.any():
            share, cost = (cut > 0).float().mean().item(), cut.square().mean().item()
            log(
                f"warning: answer_bound = {bound:g} cuts off {share:.2g} of the entries of right answers on {split}, "
                f"which alone is an error of {cost:.2g}; a larger answer_bound avoids it"
            )


def run_loop(
    state: TrainingState, points: tuple[int, ...], log, checkpoint_seconds: float, watch: Watch | None
) -> None:
    """Take the remaining steps; log, validate and save checkpoints at intervals; keep the weights of each point."""
    params, metrics = state.params, state.metrics
    validate_every = max(1, state.steps // VALIDATIONS)
    timer, saved_at = StepTimer(state.timing, state.device), time.monotonic()
    use_graph = params.uses_cuda_graph(state.device)
    step = CudaGraphStep(state, log) if use_graph else lambda: training_step(state)

    with StopSignal() as stop:
        while state.step < state.steps:
            while point := branch_due(state, points):
                with timer.paused():
                    anneal(state, point, step, stop)
                    if stop.received:  # a resumed run must begin the branch at this step
                        checkpoints.save(params, state.step, state.checkpoint())
                        raise interrupted(state, stop)
                    log(f"annealed for a training of {point} steps")
            step()
            if state.device.type == "cpu":  # elsewhere this check would make the device wait at every step
                state.check_finite()
            if metrics.window_ends(state.step):
                with timer.paused():
                    state.check_finite()
                    timer.close_window(metrics.steps_in_window(state.step))
                    log(ProgressLine(progress(state, metrics.close_window(state.step))))
            last = state.step == state.steps
            if last or state.step % validate_every == 0:
                with timer.paused():
                    validate(state)
                    if watch:
                        watch(state.solver())
                    if metrics.last_is_best():
                        checkpoints.save_best(params, state.step, state.checkpoint())
            if last or stop.received or time.monotonic() - saved_at > checkpoint_seconds:
                with timer.paused():
                    state.check_finite()
                    checkpoints.save(params, state.step, state.checkpoint())
                    saved_at = time.monotonic()
            if stop.received and not last:
                raise interrupted(state, stop)


def interrupted(state: TrainingState, stop: StopSignal) -> Interrupted:
    """The error after a signal, once its checkpoint is written."""
    return Interrupted(
        f"stopped at step {state.step} of {state.steps} by {stop.received}; "
        "a checkpoint is written: with resume = true the same command continues from it"
    )


def branch_due(state: TrainingState, points: tuple[int, ...]) -> int | None:
    """The point, before the end of the training, whose weights a branch from this step must give; else None."""
    start = decay_start if state.params.schedule == "wsd" else lambda point: point
    waiting = [point for point in points if point < state.steps and point not in state.annealed]
    return next((point for point in waiting if start(point) == state.step), None)


def anneal(state: TrainingState, point: int, step, stop: StopSignal) -> None:
    """Keep the averaged weights of a training of `point` steps: decay the learning rate, then return to this step.

    The branch draws the same random numbers as such a training. After a stop signal nothing is kept.
    """
    before = Snapshot(state)
    state.last_step = point
    while state.step < point and not stop.received:
        step()
        state.check_finite()
    if state.step == point:
        state.annealed[point] = {name: value.detach().clone() for name, value in state.average.state_dict().items()}
    before.restore()
    state.last_step = state.steps


def describe_compute(params: RunParams, compute: TrainingCompute) -> str:
    """One line of the log: the cost of a step and the length of the training."""
    cost = compute.step_flops / compute.baseline_flops
    budget = f", the compute of {params.budget_steps} steps of none" if params.budget_steps else ""
    return (
        f"a step costs {cost:.2f} steps of none, {compute.step_flops:.3g} FLOPs per seed: {compute.steps} steps{budget}"
    )


def validate(state: TrainingState) -> None:
    """Score the averaged weights on frozen problems outside every test set, for the learning curve."""
    frozen = frozen_problems(state.task, state.params.n, state.task.splits["same"], VALIDATION_PROBLEMS, FIT_STREAM)
    errors = solve_errors(state.solver(), frozen).error
    state.metrics.history["mse_step"].append(state.step)
    state.metrics.history["mse_same"].append(mse_per_seed(errors)["mse"])


# Metrics in a line of progress, each with its format
PROGRESS_FORMATS = {
    "denoise": "denoise {:.4f}",
    "contrast": "contrast {:.4f}",
    "energy_positive": "E+ {:.3g}",
    "energy_negative": "E- {:.3g}",
    "distance": "distance {:.3f}",
    "accepted": "accepted {:.0%}",
}


def progress(state: TrainingState, means: dict[str, float]) -> str:
    """One line of the log: step, metrics, time per step, time left."""
    done, steps = state.step, state.steps
    seconds = seconds_per_step(state.timing)
    values = "  ".join(text.format(means[name]) for name, text in PROGRESS_FORMATS.items() if name in means)
    return (
        f"step {done:>{len(str(steps))}}/{steps}  {values}  "
        f"{1e3 * seconds:.3g} ms/step  {seconds * (steps - done):.0f} s left"
    )


def untrained(params: RunParams) -> Solver:
    """The solver with each seed's initial weights, before the first step."""
    return TrainingState(params).solver()


def load(path, device: str = "auto") -> Solver:
    """The solver in a checkpoint, for any device.

    path: a file, or the name of an energy that comes with anm: "none-bilinear" or "none-residual".
    Raises `CheckpointError` on a file that is missing, damaged or not a checkpoint.
    """
    saved = checkpoints.read_checkpoint(shipped_energies().get(str(path), path))
    compile = "no" if saved["params"].compile == "no" else "auto"  # "yes" may not hold on this machine
    state = TrainingState(RunParams(**saved["params"].resolved() | {"device": device, "compile": compile}))
    state.restore_average(saved)
    return state.solver()
