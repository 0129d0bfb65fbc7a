"""Counter-based random numbers: each is a hash of (seed, epoch, sample key, op position, lane) and of nothing else."""

import copy
import math
from typing import Self

import numpy as np
import torch
from torch import Tensor

# Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators": the increment and the finaliser's factors
_STEP = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def _signed(value: int) -> int:
    """The value modulo 2**64, as the int64 of the same bits."""
    return (value + 2**63) % 2**64 - 2**63


def _shift(z: Tensor, bits: int) -> Tensor:
    """z >> bits as if z were unsigned: torch shifts the sign in, the mask takes it out."""
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _mix(z: Tensor) -> Tensor:
    """The finaliser of splitmix64, in place: a bijection of int64 in which every input bit moves every output bit."""
    if z.device.type == "cpu":  # the same bits; on a few hundred numbers NumPy takes a quarter of torch's time
        bits = z.numpy().view(np.uint64)
        for places, factor in zip((30, 27), _FACTORS, strict=True):
            bits ^= bits >> np.uint64(places)
            bits *= np.uint64(factor)
        bits ^= bits >> np.uint64(31)
        return z
    z.bitwise_xor_(_shift(z, 30)).mul_(_signed(_FACTORS[0]))
    z.bitwise_xor_(_shift(z, 27)).mul_(_signed(_FACTORS[1]))
    return z.bitwise_xor_(_shift(z, 31))


def _mix_number(z: int) -> int:
    """The same finaliser for one number, from 0 to 2**64 - 1: on a tensor of one, each operation would cost more."""
    z = (z ^ (z >> 30)) * _FACTORS[0] % 2**64
    z = (z ^ (z >> 27)) * _FACTORS[1] % 2**64
    return z ^ (z >> 31)


class Draw:
    """The random numbers of one op for a batch; the same integers on every device.

    Successive calls use successive lanes, and the first n numbers of a call do not depend on how many it asks for. So
    an op that draws along a padded axis does so in its last call.

    Attributes:
        epoch: the epoch, from 0.

    Args:
        key: (B,) int64, a hash of each sample's id.
        seed: the run's seed.
        epoch: the epoch, from 0.
        op: the op's position in the list of ops.
    """

    def __init__(self, key: Tensor, seed: int, epoch: int, op: int) -> None:
        self.epoch = epoch
        self._key, self._seed, self._op = key, seed, op
        common = 0
        for part in (seed, epoch, op):
            common = _mix_number((common + part + _STEP) % 2**64)
        self._state = _mix(_mix(key + _signed(_STEP)).bitwise_xor_(_signed(common)))  # (B,)
        self._lane = 0

    def take(self, index: Tensor) -> Self:
        """The draw of these samples (n,) int64, at the lane this one has reached."""
        part = copy.copy(self)
        part._state, part._key = self._state[index], self._key[index]
        return part

    def once(self) -> "Draw":
        """The draw of epoch 0: of numbers that stay the same in all epochs."""
        return Draw(self._key, self._seed, 0, self._op)

    def _bits(self, n: int) -> Tensor:
        """(B, n) int64 of 64 random bits each, from the next n lanes."""
        lanes = torch.arange(self._lane + 1, self._lane + n + 1, device=self._state.device).mul_(_signed(_STEP))
        self._lane += n
        return _mix(self._state[:, None] + lanes)

    def uniform(self, n: int = 1) -> Tensor:
        """(B, n) float32 in [0, 1), multiples of 2**-24."""
        return _shift(self._bits(n), 40).float().mul_(2.0**-24)

    def between(self, low: float, high: float) -> Tensor:
        """(B,) float32, uniform from low to high."""
        return low + (high - low) * self.uniform()[:, 0]

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """(B, *shape) float32 standard normal; each 64 bits give two by the transform of Box and Muller 1958."""
        count = math.prod(shape)
        bits = self._bits((count + 1) // 2)
        radius = _shift(bits, 32).add_(1).float().mul_(2.0**-32).log_().mul_(-2.0).sqrt_()  # of (0, 1]: finite
        angle = bits.bitwise_and_(2**32 - 1).float().mul_(2.0 * math.pi * 2.0**-32)
        pairs = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)  # (B, n, 2)
        return pairs.flatten(1)[:, :count].reshape(len(bits), *shape)

    def chosen(self, p: float) -> Tensor:
        """(B,) bool, each True with probability p (exact to 2**-53)."""
        if p >= 1:
            self._lane += 1
            return torch.ones_like(self._state, dtype=torch.bool)
        return _shift(self._bits(1)[:, 0], 11) < int(p * 2.0**53)

    def integers(self, high: int | Tensor, n: int = 1) -> Tensor:
        """(B, n) int64 in [0, high), high an integer below 2**32 or (B,) int64 of such."""
        if isinstance(high, Tensor):
            high = high.reshape(-1, 1)
        return _shift(self._bits(n), 33).mul_(high) >> 31  # Lemire 2019: multiply and shift, no division

    def beta(self, alpha: float) -> Tensor:
        """(B,) float32 from Beta(alpha, alpha), exact without rejection and without leaving the device.

        With T of Student's t with 2·alpha degrees of freedom, (1 + T / sqrt(2·alpha + T²)) / 2 is Beta(alpha, alpha);
        T = sqrt(2·alpha·(q⁻¹ - 1))·cos(2πv), q = u^(1/alpha), u and v uniform (Bailey 1994, Math. Comp. 62). Put
        together, nothing overflows however small alpha is.
        """
        uv = self.uniform(2)
        q = (uv[:, 0].add(2.0**-25).log() / alpha).exp()  # u shifted off 0
        cosine = (2.0 * math.pi * uv[:, 1]).cos()
        spread = 1.0 - q
        return (0.5 + 0.5 * cosine * spread.sqrt() / (q + spread * cosine * cosine).sqrt()).clamp(0.0, 1.0)
