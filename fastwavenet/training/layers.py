"""The forward pass of training: the logits of `WaveNet.forward` (model.py) in less time.

model.py is the network to read; tests compare the logits and the gradients of both.  Here

* time comes first, (T, B, C), so that a shift in time is a slice, and a tap or a 1x1 convolution
  is one product of T x B rows with a matrix;
* all residual layers are one function with a gradient of its own, in which the skips of all layers
  are one product;
* frames are projected once, for all layers, and the sums of a layer begin with their interpolation;
* the head runs only where targets count.

Products may be in bfloat16.  Weights, gradients and the residual stream stay in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .model import GATE, ResidualLayer, WaveNet

Maybe: TypeAlias = Tensor | None


def predict(
    model: WaveNet,
    codes: Tensor,
    frames: Maybe = None,
    speakers: Maybe = None,
    at: int = 1,
    *,
    sounds: Maybe = None,
    known: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Logits (T - known, B, Q) of `dtype`: those of `WaveNet.forward` from column `known` on.

    codes, frames, speakers, at, sounds: as in `WaveNet`.  dtype: of the products.
    Raises ValueError for a network without gates.
    """
    if model.activation != GATE:
        raise ValueError(
            f"expected a network with gates, found activation {model.activation!r}: "
            f"call the network itself, model(codes)"
        )
    layers = [cast(ResidualLayer, layer) for layer in model.layers]
    x = model.first(codes).permute(2, 0, 1).contiguous()  # (T, B, R)
    bases, place = _bases(model, layers, codes, frames, speakers, at, sounds)
    skips = torch.cat([layer.skip.weight[:, :, 0] for layer in layers], dim=1)  # (S, L D)
    biases = [layer.skip.bias for layer in layers if layer.skip.bias is not None]
    bias = reduce(torch.add, biases) if biases else None  # whose gradients do not share memory
    weights = [tensor for layer in layers for tensor in _weights(layer)]
    run = cast(Callable[..., Tensor], _ResidualLayers.apply)
    skip = run(x, bases, skips, bias, place, model.spec.dilations, dtype, *weights)
    hidden = _conv1x1(F.relu(skip[known:]), model.head.hidden)
    return _conv1x1(F.relu(hidden), model.head.output)


def _weights(layer: ResidualLayer) -> tuple[Tensor, Maybe, Maybe]:
    """(2D, R, k), (R, D, 1), (R,): the latter two are None in the last layer."""
    if layer.residual is None:
        return layer.dilated.weight, None, None
    return layer.dilated.weight, layer.residual.weight, layer.residual.bias


def _conv1x1(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """(T, B, in) -> (T, B, out), in the precision of x."""
    return _affine(x, conv.weight[:, :, 0].to(x.dtype), conv.bias)


# ---- biases and projected frames, with which the sums of a layer begin ---------------------------


class _Place(NamedTuple):
    """The place of a window of T samples in N whole frames, or upsampled features in their place.

    at      the number, from the first frame's begin, of the sample that column 0 predicts
    hop     samples of a frame
    linear  whether values are interpolated from frame to frame
    """

    at: int
    hop: int
    linear: bool

    def spread(self, ends: Tensor, time: int) -> Tensor:
        """Rows of the frames and the one behind, (N + 1, B, 2D), to those of samples (T, B, 2D)."""
        now, behind = ends[:-1, None], ends[1:, None]  # (N, 1, B, 2D)
        shape = len(now), self.hop, *ends.shape[1:]
        if self.linear:
            rows = torch.lerp(now, behind, self._parts(ends).view(-1, 1, 1))
        else:
            rows = ends.new_empty(shape).copy_(now)
        return rows.view(-1, *ends.shape[1:])[self.at : self.at + time]

    def gathered(self, rows: Tensor) -> Tensor:
        """The transpose of `spread`, of rows (N hop, B, 2D) that are 0 outside the window."""
        count, channels = len(rows) // self.hop, rows.shape[1:]
        parts = self._parts(rows)
        shares = torch.stack([1 - parts, parts]) if self.linear else torch.ones_like(parts)[None]
        sums = (shares @ rows.view(count, self.hop, -1)).float()  # (N, 1 or 2, B 2D)
        ends = sums.new_zeros(count + 1, *channels)
        for behind in range(len(shares)):
            ends[behind : count + behind] += sums[:, behind].view(count, *channels)
        return ends

    def _parts(self, like: Tensor) -> Tensor:
        """The part of a frame that lies before each of its samples, (hop,)."""
        return (torch.arange(self.hop, device=like.device) / self.hop).to(like.dtype)


def _bases(
    model: WaveNet,
    layers: list[ResidualLayer],
    codes: Tensor,
    frames: Maybe,
    speakers: Maybe,
    at: int,
    sounds: Maybe,
) -> tuple[Tensor, _Place]:
    """Bias plus V u of each layer, for all frames of a window and the one behind, (L, N+1, B, 2D).

    Without frames, one frame is as long as the window.
    """
    batch, time = codes.shape
    conditioning = model.conditioning
    biases = [layer.dilated.bias for layer in layers if layer.dilated.bias is not None]
    if conditioning is None:
        rows = model.first.weight.new_zeros(len(layers), 1, 1, 2 * model.spec.dilation_channels)
    else:
        u = conditioning(frames, speakers, sounds)  # (B, C, F)
        rows = torch.stack([cast(nn.Conv1d, layer.conditioning)(u) for layer in layers])
        rows = rows.permute(0, 3, 1, 2)  # (L, F, B, 2D)
    if biases:
        rows = rows + torch.stack(biases)[:, None, None]
    if conditioning is None or rows.shape[1] == 1:
        return rows.expand(-1, 2, batch, -1), _Place(0, time, linear=False)
    hop = conditioning.hop
    first, behind = at // hop, (at + time - 1) // hop + 1
    numbers = torch.arange(first, behind + 1, device=rows.device).clamp(max=rows.shape[1] - 1)
    return rows[:, numbers], _Place(at - first * hop, hop, conditioning.linear)


# ---- the layers ----------------------------------------------------------------------------------


class _ResidualLayers(torch.autograd.Function):
    """x (T, B, R) -> the sum of all skips (T, B, S) in `dtype`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        bases: Tensor,
        skips: Tensor,
        bias: Maybe,
        place: _Place,
        dilations: tuple[int, ...],
        dtype: torch.dtype,
        *weights: Maybe,
    ) -> Tensor:
        (time, batch), d = x.shape[:2], bases.shape[3] // 2
        z = x.new_empty(time * batch, skips.shape[1], dtype=dtype)  # (T B, L D)
        layers = []
        for n, dilation in enumerate(dilations):
            dilated, residual, own_bias = weights[3 * n : 3 * n + 3]
            layer = _Layer(place, dilation, dtype, cast(Tensor, dilated), residual, own_bias)
            x = layer.forward(x, bases[n].to(dtype), z[:, n * d : (n + 1) * d])
            layers.append(layer)
        ctx.layers, ctx.z, ctx.skips = layers, z, skips.to(dtype)
        ctx.has_bias = bias is not None
        return _affine(z, ctx.skips, bias).view(time, batch, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_skip: Tensor) -> tuple[Maybe, ...]:
        rows = d_skip.flatten(0, 1)  # (T B, S)
        d_z = (rows @ ctx.skips).chunk(len(ctx.layers), dim=1)
        d_x, d_bases, d_weights = None, [], []
        for layer, own in zip(reversed(ctx.layers), reversed(d_z), strict=True):
            d_x, d_base, *d_layer = layer.backward(d_x, own)
            d_bases.append(d_base)
            d_weights.append(d_layer)
        d_skips = (rows.t() @ ctx.z).float()
        d_bias = rows.sum(0, dtype=torch.float32) if ctx.has_bias else None
        each = [tensor for layer in reversed(d_weights) for tensor in layer]
        return d_x, torch.stack(d_bases[::-1]), d_skips, d_bias, None, None, None, *each


class _Layer:
    """One residual layer of a window, with all that its gradient needs.

    x            (T B, R)
    value, gate  (T B, D), after tanh and sigmoid
    z            (T B, D), their product
    """

    x: Tensor
    value: Tensor
    gate: Tensor
    z: Tensor

    def __init__(
        self,
        place: _Place,
        dilation: int,
        dtype: torch.dtype,
        dilated: Tensor,
        residual: Maybe,
        bias: Maybe,
    ):
        self.place, self.bias = place, bias
        self.taps = dilated.to(dtype).permute(2, 0, 1).contiguous()  # (k, 2D, R)
        self.shifts = [dilation * j for j in reversed(range(len(self.taps)))]
        self.residual = None if residual is None else residual[:, :, 0].to(dtype)  # (R, D)

    def forward(self, x: Tensor, base: Tensor, z: Tensor) -> Tensor:
        """x (T, B, R) and base (N + 1, B, 2D) -> the next layer's x; fills z."""
        self.shape, self.x, self.z = x.shape, x.to(z.dtype).flatten(0, 1), z
        h = self.place.spread(base, len(x)).flatten(0, 1)  # (T B, 2D)
        for tap, (past, now) in zip(self.taps, self._shifted(h), strict=True):
            now.addmm_(self.x[past], tap.t())
        value, gate = h.chunk(2, dim=1)
        self.value, self.gate = torch.tanh(value), torch.sigmoid(gate)
        torch.mul(self.value, self.gate, out=z)
        if self.residual is None:
            return x
        return x + _affine(z, self.residual, self.bias).view_as(x)

    def backward(self, d_x: Maybe, d_z: Tensor) -> tuple[Tensor, Tensor, Tensor, Maybe, Maybe]:
        """The gradients of x, base, dilated, residual and bias.

        d_x: of the next layer's x; None in the last layer.  d_z (T B, D): by way of the skips.
        """
        d_residual = d_bias = None
        if self.residual is not None and d_x is not None:
            rows = d_x.to(d_z.dtype).flatten(0, 1)
            d_residual = (rows.t() @ self.z).float()[:, :, None]
            d_bias = None if self.bias is None else d_x.sum((0, 1))
            d_z = torch.addmm(d_z, rows, self.residual)
        d_h, d_base = self._through_gate(d_z)
        d_taps = torch.empty_like(self.taps, dtype=torch.float32)
        d_x = d_h.new_zeros(self.shape, dtype=torch.float32) if d_x is None else d_x
        for tap, d_tap, (past, now) in zip(self.taps, d_taps, self._shifted(d_h), strict=True):
            d_tap.copy_(now.t() @ self.x[past])
            d_x.flatten(0, 1)[past] += now @ tap
        return d_x, d_base, d_taps.permute(1, 2, 0), d_residual, d_bias

    def _shifted(self, rows: Tensor) -> list[tuple[slice, Tensor]]:
        """For each tap: the places of its rows of x, and the rows (T B, 2D) that they go to."""
        count, (_, batch, _) = len(rows), self.shape
        shifts = [min(shift * batch, count) for shift in self.shifts]
        return [(slice(0, count - shift), rows[shift:]) for shift in shifts]

    def _through_gate(self, d_z: Tensor) -> tuple[Tensor, Tensor]:
        """d_z (T B, D) to the gradients of the sums before the gate (T B, 2D), and of base."""
        (time, batch, _), (at, hop, _) = self.shape, self.place
        whole = -(-(at + time) // hop) * hop
        spread = d_z.new_zeros(whole, batch, 2 * d_z.shape[1])
        d_h = spread[at : at + time].flatten(0, 1)
        d_value, d_gate = d_h.chunk(2, dim=1)
        open_ = d_z * self.gate
        torch.mul(open_, 1 - self.value * self.value, out=d_value)
        torch.mul(open_ * self.value, 1 - self.gate, out=d_gate)
        return d_h, self.place.gathered(spread)


def _affine(x: Tensor, matrix: Tensor, bias: Maybe) -> Tensor:
    """(..., in) -> (..., out) by a matrix (out, in) of x's precision."""
    return F.linear(x, matrix, None if bias is None else bias.to(x.dtype))
