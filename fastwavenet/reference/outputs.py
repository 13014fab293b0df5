"""From logits to a code: Philox, the random number of a step, and the draw, in numpy float64."""

from __future__ import annotations

import numpy as np


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    """Ten rounds of Philox4x32 (Salmon et al., SC 2011): 4 + 2 words of 32 bits to 4 words."""
    mask = 0xFFFFFFFF
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & mask, (a >> 32) ^ c3 ^ k1, a & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c0, c1, c2, c3


def uniform(seed: int, step: int, stream: int) -> float:
    """The random number in [0, 1) of one step of one stream."""
    mask = 0xFFFFFFFF
    words = philox4x32((0, step & mask, step >> 32, stream), (seed & mask, seed >> 32))
    return (words[0] >> 8) * 2.0**-24


def draw_order(levels: int) -> np.ndarray:
    """The order in which codes stand on the unit interval: lane 0's codes, then lane 1's, ..."""
    return np.concatenate([np.arange(lane, levels, 16) for lane in range(16)])


def draw(
    logits: np.ndarray,
    u: float,
    temperature: float = 1.0,
    top_k: int | None = None,
    min_p: float = 0.0,
) -> int:
    """The code whose share of the unit interval contains u; temperature 0: the most probable."""
    logits = np.asarray(logits, np.float64)
    if temperature == 0:
        return int(np.argmax(logits))
    p = np.exp((logits - logits.max()) / temperature)
    if top_k is not None:
        p[np.argsort(-logits, kind="stable")[top_k:]] = 0
    p[p < min_p] = 0  # the largest is 1
    order = draw_order(len(p))
    edges = np.cumsum(p[order])
    return int(order[np.searchsorted(edges, u * edges[-1], side="right")])
