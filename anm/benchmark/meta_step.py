"""A training step without data, on torch's meta device: its launches, its memory traffic and its device faults.

Tensors of the meta device have shapes and types but no values, so a step of any size takes a second on any machine.
Faults that would show on a GPU alone are errors here.
"""

from collections import Counter

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from anm.params import RunParams
from anm.training.state import TrainingState
from anm.training.step import training_step
from anm.utils.random_streams import RandomStreams

META = torch.device("meta")
READS_VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
# Operations that launch nothing, although their results are no views of their arguments
NO_LAUNCH = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}


class DeviceFault(RuntimeError):
    """A step has an operation that would make a GPU wait, or that a CUDA graph cannot repeat."""


class MetaStreams(RandomStreams):
    """Random streams on the meta device: one operation per seed and draw, as on a GPU."""

    def _draw(self, name: str, shape, fill, dtype=torch.float32) -> Tensor:
        rows = torch.empty(len(self.generators[name]), *shape, dtype=dtype, device=META)
        for row in rows:
            fill(row, None)
        return rows


def meta_state(params: RunParams) -> TrainingState:
    """The training state of a run on the meta device, with the optimiser of a GPU."""
    on_cpu = {"device": "cpu", "compile": "no", "precision": "float32"}
    state = TrainingState(RunParams(**params.resolved() | on_cpu))
    state.device, state.streams = META, MetaStreams(params.seed_list, torch.device("cpu"))
    for part in (state.model, state.average, state.schedule):
        part.to(META)
    state.scalars = {name: value.to(META) for name, value in state.scalars.items()}
    state.weights = list(state.model.parameters())
    (group,) = state.optimiser.param_groups
    group |= {"params": state.weights, "lr": torch.empty((), device=META), "capturable": True}
    for weight in state.weights:  # torch refuses to begin a fused Adam on this device
        moments = {name: torch.empty_like(weight) for name in ("exp_avg", "exp_avg_sq")}
        state.optimiser.state[weight] = {"step": torch.empty((), device=META)} | moments
    return state


class DeviceCheck(TorchDispatchMode):
    """While active, counts what reaches the meta device, and raises `DeviceFault` at the first fault.

    launches: the number of each operation; views and allocations launch nothing. An operation may be more than one
    kernel. bytes_moved: of each operation, the bytes of the tensors that it reads and writes.
    """

    def __init__(self):
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.bytes_moved: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        name, kwargs = function.overloadpacket.__name__, kwargs or {}
        inputs = tensors_in((arguments, kwargs))
        check_devices(name, inputs, kwargs.get("device"))
        check_values(function, name, inputs)
        # The fused Adam only changes values, and torch lacks it on this device
        results = None if name == "_fused_adam_" else function(*arguments, **kwargs)
        on_device = [tensor for tensor in inputs + tensors_in(results) if tensor.device == META]
        if any(tensor.dtype in (torch.float64, torch.complex128) for tensor in on_device):
            raise DeviceFault(f"{name}: has a tensor in float64; create it in torch.float32")
        if on_device and not function.is_view and name not in NO_LAUNCH:
            self.launches[name] += 1
            self.bytes_moved[name] += sum(map(size_in_memory, on_device))
        return results


class HostNumbersCheck(TorchFunctionMode):
    """While active, raises `DeviceFault` where Python's numbers become a tensor of the meta device.

    Such a copy is no operation that `DeviceCheck` sees.
    """

    def __torch_function__(self, function, types, arguments=(), kwargs=None):
        result = function(*arguments, **kwargs or {})
        indexed = function in (Tensor.__getitem__, Tensor.__setitem__) and arguments[0].device == META
        if indexed and any(isinstance(leaf, int) for leaf in lists_in(arguments[1])):
            raise DeviceFault("an index is a list, which is copied from the host; use a slice or torch.arange")
        if function in (torch.tensor, torch.as_tensor) and result.device == META:
            raise DeviceFault("torch.tensor: copies numbers from the host; create it once, or use torch.full")
        return result


def lists_in(index) -> list:
    """The entries of the lists in an index."""
    parts = index if isinstance(index, tuple) else (index,)
    return [entry for part in parts if isinstance(part, list) for entry in part]


def check_devices(name: str, inputs: list[Tensor], target: torch.device | None) -> None:
    """Raises `DeviceFault` on arguments of two devices, and on a copy between them."""
    devices = sorted({tensor.device.type for tensor in inputs})
    if len(devices) > 1:
        raise DeviceFault(f"{name}: has tensors on {' and '.join(devices)}; create all of them on the run's device")
    if name == "_to_copy" and target and target.type not in devices:
        raise DeviceFault(f"{name}: copies a tensor from {devices[0]} to {target}; keep it on the run's device")


def check_values(function, name: str, inputs: list[Tensor]) -> None:
    """Raises `DeviceFault` on an operation that needs values on the host: for a number, or for a shape."""
    masks = "index" in name and any(tensor.dtype == torch.bool for tensor in inputs[1:])
    values = "index" not in name and any(tag in function.tags for tag in READS_VALUES)
    if (masks or values) and inputs and inputs[0].device == META:
        raise DeviceFault(f"{name}: the host reads a value, or a shape depends on values; use torch.where instead")


def tensors_in(values) -> list[Tensor]:
    """The tensors in nested lists, tuples and dicts."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def size_in_memory(tensor: Tensor) -> int:
    """The bytes that a tensor covers in memory; an expanded one covers fewer than it has entries."""
    return min(tensor.nbytes, tensor.untyped_storage().nbytes())


def checked_step(state: TrainingState) -> DeviceCheck:
    """One step of a state of `meta_state`, and what it launched. Raises `DeviceFault`."""
    with HostNumbersCheck(), DeviceCheck() as check:
        training_step(state)
    return check


def count_step(params: RunParams) -> dict[str, int]:
    """An eager step of a run: its launches, the bytes that they read and write, and the FLOPs of its products.

    Raises `DeviceFault`.
    """
    state = meta_state(params)
    checked_step(state)  # creates what only the first step creates
    with FlopCounterMode(display=False) as flops:
        check = checked_step(state)
    launches, moved = check.launches.total(), sum(check.bytes_moved.values())
    return {"launches": launches, "bytes": moved, "flops": flops.get_total_flops()}
