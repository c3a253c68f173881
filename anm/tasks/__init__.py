"""Tasks: what is to be solved, one file each."""

from functools import cache

from anm.registry import CHOICES, resolve
from anm.tasks.addition import Addition
from anm.tasks.base import Reference, Task
from anm.tasks.completion import Completion
from anm.tasks.connectivity import Connectivity
from anm.tasks.frozen import FrozenSet, frozen_problems
from anm.tasks.inverse import Inverse
from anm.tasks.square_root import SquareRoot, SquareRootMany

__all__ = ["FrozenSet", "Reference", "Task", "frozen_problems", "get"]

for task in (Inverse, Addition, Completion, SquareRoot, SquareRootMany, Connectivity):
    CHOICES["task"][task.name] = task


@cache
def get(name: str, **settings) -> Task:
    """The task of this name, or of "module:Class"; `settings` go to its constructor, such as `rank` of completion.

    Raises `ValueError` on an unknown name.
    """
    if ":" not in name and name not in CHOICES["task"]:
        raise ValueError(f'task = {name!r}: must be one of {", ".join(CHOICES["task"])}, or "module:Class" of your own')
    return resolve("task", name)(**settings)
