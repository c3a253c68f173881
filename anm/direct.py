"""The direct network: the layers of `bilinear` trained to say the inverse at once, with no energy and no noise.

What an energy and its descent add is what it falls short of them at the same size and training.

    python -m anm.direct -f params/bilinear.yaml mine/cpu/direct.json

trains and scores one as the run of those parameters would be; a report of the file's folder shows it.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from anm.device import precision
from anm.energy.bilinear import EnergyBilinear
from anm.matrices import OFFSETS, TestSet, draw_problems, frozen_problems, squared_error
from anm.params import ParamError, RunParams, load_yaml
from anm.provenance import provenance
from anm.schema import SCHEMA, RecordError, check_direct, clean
from anm.streams import Streams
from anm.trainer import BETAS, MAX_GRAD_NORM, clip_per_seed, decay_at


ONLY = {"energy": "bilinear", "strategy": "none"}  # whose layers it has; and it contrasts nothing


@dataclass
class Direct:
    """A trained stack of direct networks."""

    model: EnergyBilinear

    @torch.no_grad()
    def solve(self, A: Tensor) -> Tensor:
        """Answers X (S, B, n, n), on the CPU, to problems A (B, n, n); one pass, `products_to_encode` products."""
        device = self.model.layers.first.device
        return guess(self.model, A.to(device).expand(self.model.stack, -1, -1, -1)).cpu()


def guess(model: EnergyBilinear, A: Tensor) -> Tensor:
    """V(A) at level 0, (S, B, n, n): the head that in an energy says what Q A x should be."""
    return model.heads(model.encode(A)[1], torch.zeros(A.shape[:2], dtype=torch.int64, device=A.device))[1]


def train_direct(params: RunParams, say=print) -> Direct:
    """A direct network trained on the problems, with the steps, batch, rate and average of the run `params`.

    Its loss is the squared error over the mean square of the answers' entries, so that a guess of zero costs one.
    """
    device = params.torch_device()
    streams = Streams(params.seed_list, device)
    model, average = (EnergyBilinear(params.n, params.noise_levels, len(params.seed_list)) for _ in range(2))
    model.reset(streams.generators["weights"]).to(device)
    average.to(device).requires_grad_(False).load_state_dict(model.state_dict())
    weights = list(model.parameters())
    optimiser = torch.optim.Adam(weights, params.learning_rate, BETAS, fused=True)
    with precision(params.precision):
        for step in range(1, params.train_steps + 1):
            A, x0 = draw_problems(streams.uniform("problems", params.batch_size, params.n, params.n))
            loss = squared_error(guess(model, A), x0).mean(1) / x0.square().mean((1, 2, 3))
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            clip_per_seed([w.grad if w.grad is not None else torch.zeros_like(w) for w in weights], MAX_GRAD_NORM)
            optimiser.step()
            with torch.no_grad():  # or the averages would keep a graph that grows with every step
                torch._foreach_lerp_(list(average.parameters()), weights, 1 - decay_at(step))
            if step % max(1, params.train_steps // 20) == 0:
                say(f"step {step}/{params.train_steps}  relative error {loss.mean().item():.3g}")
    return Direct(average)


def direct_errors(direct: Direct, test: TestSet, batch: int = 500) -> list[float]:
    """MSE per seed on a test set."""
    parts = [
        squared_error(direct.solve(test.A[i : i + batch]), test.X[i : i + batch]) for i in range(0, len(test), batch)
    ]
    return torch.cat(parts, dim=1).numpy().astype("float64").mean(axis=1).tolist()


def direct_record(params: RunParams, say=print) -> dict:
    """A direct network trained and scored on the run's frozen problems, with where it comes from."""
    started, clock = datetime.now(timezone.utc), time.perf_counter()
    direct = train_direct(params, say)
    seconds = time.perf_counter() - clock
    scores = {
        split: {
            "offset": offset,
            "problems": params.test_problems,
            "mse": direct_errors(direct, frozen_problems(params.n, offset, params.test_problems)),
        }
        for split, offset in OFFSETS.items()
    }
    source = provenance(
        params.torch_device(), started, train_seconds=seconds, seconds_per_step=seconds / params.train_steps
    )
    return clean(
        {"schema": SCHEMA, "layers": "bilinear", "params": params.resolved(), "provenance": source, "results": scores}
    )


def read_direct(path: Path) -> dict:
    """What `python -m anm.direct` has written. Raises `RecordError`, naming the file, on anything else."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        check_direct(record)
    except RecordError as error:
        raise RecordError(error.reason, path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"cannot be read ({error})", path) from None
    return record


def main(arguments: list[str] | None = None) -> int:
    """Train, score, write; exit code 2 on a setting or an output that will not do."""
    parser = argparse.ArgumentParser(prog="python -m anm.direct", description=__doc__.splitlines()[0])
    parser.add_argument(
        "-f", dest="files", type=Path, action="append", default=[], metavar="FILE", help="a YAML file of parameters"
    )
    parser.add_argument(
        "-p", dest="settings", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="one parameter"
    )
    parser.add_argument("output", type=Path, help="the JSON file to write; must not be there yet")
    asked = parser.parse_args(arguments)
    try:
        given = {name: value for file in asked.files for name, value in load_yaml(file).items()} | dict(asked.settings)
        for name, only in ONLY.items():
            if given.setdefault(name, only) != only:
                raise ParamError(f"{name} = {given[name]!r}: a direct network is of {only!r} alone")
        params = RunParams(**given)
        params.check_machine()
        if asked.output.exists() or not os.access(asked.output.parent, os.W_OK):
            raise ParamError(
                f"output = '{asked.output}': must be a new file in a folder that is there and can be written"
            )
    except ParamError as error:
        print(f"direct: {error}", file=sys.stderr)
        return 2
    part = asked.output.with_name(asked.output.name + ".part")
    part.write_text(json.dumps(direct_record(params), indent=1))
    os.replace(part, asked.output)
    print(asked.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
