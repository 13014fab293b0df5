"""The update of the weights: Muon for the convolutions, AdamW for tables and biases.

K. Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024: the momentum of a
matrix is replaced by the nearest matrix whose singular values are all 1, so that a step changes all
directions alike.  J. Liu et al., *Muon is scalable for LLM training*, 2025: with the scale of 0.2
sqrt(larger side) a step is as long as one of AdamW, so both have the same learning rate.

PyTorch's Muon takes matrices only and computes in bfloat16, which is slow on processors without it;
here matrices of one shape are computed together, in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frame_conditioning import PITCH_NETWORK
from .checkpoint import MOMENTS, Weights

MOMENTUM = 0.95
STEP = 0.2  # root mean square of an update of a square matrix, in learning rates
ITERATIONS = 5
POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # of singular values, which it takes to 0.7 ... 1.2
LEAST_NORM = 1e-7


class Optimizer:
    """The optimizer of all parameters of a network, in float32.

    shapes  (out, in x taps) -> parameters with such a weight, and their momenta (n, out, in x taps)
    """

    def __init__(self, model: nn.Module, learning_rate: float, weight_decay: float):
        self.rate, self.weight_decay = learning_rate, weight_decay
        self.parameters = dict(model.named_parameters())
        matrices = {name: p for name, p in self.parameters.items() if _is_convolution(name, p)}
        others = [p for name, p in self.parameters.items() if name not in matrices]
        self.adam = torch.optim.AdamW(others, learning_rate, weight_decay=weight_decay)
        for parameter in others:  # the initial state of AdamW
            moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
            self.adam.state[parameter] = {"step": torch.tensor(0.0), **moments}
        self.groups: list[tuple[list[str], Tensor]] = []
        for shape in dict.fromkeys(_matrix(p).shape for p in matrices.values()):
            names = [name for name, p in matrices.items() if _matrix(p).shape == shape]
            momenta = next(iter(matrices.values())).new_zeros((len(names), *shape))
            self.groups.append((names, momenta.detach()))

    @torch.no_grad()
    def step(self) -> None:
        """Updates all parameters that have gradients."""
        self.adam.step()
        for names, momenta in self.groups:
            parameters = [self.parameters[name] for name in names]
            gradients = torch.stack([_matrix(_gradient(p)) for p in parameters])
            momenta.lerp_(gradients, 1 - MOMENTUM)
            updates = orthogonal(gradients.lerp(momenta, MOMENTUM))
            length = self.rate * STEP * max(momenta.shape[1:]) ** 0.5
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.mul_(1 - self.rate * self.weight_decay)
                parameter.add_(update.view_as(parameter), alpha=-length)

    def zero_grad(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    def set_rate(self, rate: float) -> None:
        self.rate = rate
        for group in self.adam.param_groups:
            group["lr"] = rate

    # ---- to and from a checkpoint ----------------------------------------------------------

    def moments(self) -> dict[str, Weights]:
        """Copies of the moments, by group and parameter; a convolution has no second ones."""
        return {
            group: {name: t.detach().cpu().numpy().copy() for name, t in tensors.items()}
            for group, tensors in self._moments().items()
        }

    @torch.no_grad()
    def restore(self, groups: dict[str, Weights], steps: int) -> None:
        """Continues from `moments()` after so many steps."""
        for group, tensors in self._moments().items():
            for name, tensor in tensors.items():
                tensor.copy_(torch.tensor(groups[group][name]))
        for state in self.adam.state.values():
            state["step"].fill_(steps)

    def _moments(self) -> dict[str, dict[str, Tensor]]:
        first, second = (
            {name: torch.zeros_like(p) for name, p in self.parameters.items()} for _ in MOMENTS
        )
        for names, momenta in self.groups:
            for name, momentum in zip(names, momenta, strict=True):
                first[name] = momentum.view_as(self.parameters[name])
        for name, parameter in self.parameters.items():
            if parameter in self.adam.state:
                state = self.adam.state[parameter]
                first[name], second[name] = state["exp_avg"], state["exp_avg_sq"]
        return dict(zip(MOMENTS, (first, second), strict=True))


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, a, b) to matrices with the same singular vectors, and singular values near 1.

    By an odd polynomial of the singular values, iterated (Newton and Schulz).
    """
    a, b, c = POLYNOMIAL
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=LEAST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


def _is_convolution(name: str, parameter: Tensor) -> bool:
    return parameter.ndim == 3 and name != "first.weight" and not name.startswith(PITCH_NETWORK)


def _matrix(weight: Tensor) -> Tensor:
    """(out, in, k) as (out, in k), and (in, out, k) of a transposed convolution as (in, out k)."""
    return weight.reshape(len(weight), -1)


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
