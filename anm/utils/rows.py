"""Values per row (S, B) of tensors (S, B, *shape): means over the entries, and their way back."""

from torch import Tensor


def entries(x: Tensor) -> tuple[int, ...]:
    """The dimensions of the entries of x (S, B, *shape): all but seed and row."""
    return tuple(range(2, x.ndim))


def mean_square(x: Tensor) -> Tensor:
    """The mean of the squared entries of x (S, B, *shape), (S, B)."""
    return x.square().mean(entries(x))


def rms(x: Tensor) -> Tensor:
    """The root mean square of each row of x (S, B, *shape), shaped to multiply x."""
    return x.square().mean(entries(x), keepdim=True).sqrt()


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Values (S, B), shaped to multiply `like` (S, B, *shape)."""
    return values.reshape(*values.shape, *[1] * (like.ndim - values.ndim))
