"""The sizes of the stages of `python -m anm.benchmark.gpu`: those for a GPU, and tiny ones for a CPU."""

from dataclasses import dataclass, field
from typing import Any

STUDY_STRATEGIES = ("none", "random", "adversarial")


@dataclass(frozen=True)
class Scale:
    """Sizes of all stages.

    step: settings of the timed step and of the evaluation. stacks: seeds, the largest stack first. modes: eager,
    compiled, graph (compiled, and replayed from a CUDA graph), or autotuned (a graph whose compiler tried many kernels
    for each product). usual: mode and precision of the strategies beyond the study's. rounds: timed steps of each kind.
    test_files: None for all that need CUDA. pilot: settings of the runs in TF32 and float32. comparison, full: settings
    that replace those of the declared comparison and of the full study. comparison_runs: the most of them; None: all.
    fixed: settings of every run.
    """

    device: str
    step: dict[str, Any]
    pilot: dict[str, Any]
    comparison: dict[str, Any]
    full: dict[str, Any]
    stacks: tuple[str, ...] = ("0-9", "0")
    strategies: tuple[str, ...] = STUDY_STRATEGIES
    precisions: tuple[str, ...] = ("tf32", "float32", "bfloat16")
    modes: tuple[str, ...] = ("graph", "eager", "compiled", "autotuned")
    usual: tuple[str, str] = ("graph", "tf32")
    rounds: int = 20
    test_files: tuple[str, ...] | None = None
    comparison_runs: int | None = None
    comparison_file: str = "params/comparisons/equal-compute.yaml"
    checkpoint_dir: str = "checkpoints/gpu"
    fixed: dict[str, Any] = field(default_factory=dict)

    @property
    def common(self) -> dict[str, Any]:
        """The settings of every run."""
        return {"device": self.device, "checkpoint_dir": self.checkpoint_dir} | self.fixed


ON_GPU = Scale(
    device="cuda",
    step={"n": 20, "batch_size": 2048, "learning_rate": 1e-4, "test_problems": 20_000},
    pilot={"n": 20, "batch_size": 2048, "learning_rate": 1e-4, "train_steps": 5_000, "seeds": "1000-1009"},
    comparison={"seeds": "0-63", "compile": "no"},  # compiling so many short runs takes longer than their steps
    full={"precision": "tf32"},
)

SHORT = {"width": 32, "noise_levels": 4, "batch_size": 16, "test_problems": 20, "landscape_steps": 2}
TINY = SHORT | {"n": 4}
ON_CPU = Scale(
    device="cpu",
    step=TINY,
    pilot=TINY | {"train_steps": 12, "seeds": "1000-1001"},
    comparison=SHORT | {"budget_steps": 12, "seeds": "0-1"},
    comparison_runs=2,
    full=TINY | {"train_steps": 12, "seeds": "0-1"},
    stacks=("0-1", "0"),
    modes=("graph", "eager"),
    precisions=("tf32", "float32"),
    usual=("eager", "float32"),
    rounds=2,
    fixed={"compile": "no"},
)
