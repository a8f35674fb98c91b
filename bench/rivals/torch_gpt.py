"""PyTorch's side of `gpt_tiny`: a causal Transformer whose table of tokens makes the logits."""

import torch
import torch.nn.functional as F
from torch import nn

HEADS = 4


class Block(nn.Module):
    """Attention and a layer of four times the width, with the norm first."""

    def __init__(self, weights):
        super().__init__()
        self.norm1, self.qkv, self.out = norm(weights), linear(weights), linear(weights)
        self.norm2, self.up, self.down = norm(weights), linear(weights), linear(weights)

    def forward(self, x):
        """Add both halves."""
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (p.view(batch, length, HEADS, -1).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Tokens and positions, blocks, a last norm."""

    def __init__(self, arrays, weights, _):
        super().__init__()
        left = iter(torch.from_numpy(w.copy()) for w in weights)
        self.tokens, self.positions = nn.Parameter(next(left)), nn.Parameter(next(left))
        depth = (len(weights) - 4) // 12
        self.blocks = nn.Sequential(*[Block(left) for _ in range(depth)])
        self.norm = norm(left)
        self.arrays = [torch.from_numpy(arrays[name]) for name in ("x", "y")]

    def batches(self, size):
        """Return (x, y) of each batch."""
        return list(zip(*(a.split(size) for a in self.arrays), strict=True))

    def loss(self, x, y):
        """Return the mean over all positions."""
        h = self.norm(self.blocks(F.embedding(x, self.tokens) + self.positions))
        return F.cross_entropy((h @ self.tokens.t()).flatten(0, 1), y.flatten())


def norm(left):
    """Return a norm of the next two weights."""
    weight, bias = next(left), next(left)
    made = nn.LayerNorm(len(weight))
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(bias)
    return made


def linear(left):
    """Return a layer of the next two weights, (in, out) and (out,)."""
    weight, bias = next(left), next(left)
    made = nn.Linear(*weight.shape)
    with torch.no_grad():
        made.weight.copy_(weight.t())
        made.bias.copy_(bias)
    return made
