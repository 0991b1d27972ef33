"""A small causal language model: python3 causal_lm.py OUT [SAMPLES]

Bytes of kith's documents, a few seconds of training. Its interface is that of the usual libraries: keyword arguments, an
attention mask, a tuple of hidden states; their models take the place of this one as they are."""
import glob
import os
import sys
from types import SimpleNamespace

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "pipeline", "python"))
import kith
import torch
from torch import nn
from torch.nn import functional as F


class CausalLM(nn.Module):
    def __init__(self, layers=4, width=64, context=32):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True, norm_first=True)
                                    for _ in range(layers))
        self.head = nn.Linear(width, 256)

    def forward(self, input_ids, attention_mask=None):
        length = input_ids.shape[1]
        hidden = [self.wte(input_ids) + self.wpe(torch.arange(length))]
        later = torch.full((length, length), float("-inf")).triu(1)
        for block in self.blocks:
            hidden.append(block(hidden[-1], src_mask=later))
        return SimpleNamespace(logits=self.head(hidden[-1]), hidden_states=tuple(hidden))


def main(out, samples=1000, steps=100, context=32):
    torch.manual_seed(1)
    text = b"".join(open(path, "rb").read() for path in sorted(glob.glob(f"{ROOT}/**/*.md", recursive=True)))
    text = torch.tensor(list(text))

    def batch(size):
        start = torch.randint(len(text) - context - 1, (size, 1))
        return text[start + torch.arange(context + 1)]

    model = CausalLM(context=context)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(steps):
        tokens = batch(32)
        loss = F.cross_entropy(model(tokens[:, :-1]).logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.2f} after {steps} steps")

    tokens, lengths = batch(samples)[:, :-1], torch.randint(8, context + 1, (samples, 1))
    mask = (torch.arange(context) < lengths).long()
    loader = [{"input_ids": i * m, "attention_mask": m} for i, m in zip(tokens.split(100), mask.split(100))]

    # All hidden states, of each sample that of its last real token.
    kith.record(model, loader, f"{out}/activations", "head", pool="last",
                outputs=lambda result: {f"h{i}": h for i, h in enumerate(result.hidden_states)})
    graphs = {f"h{i}": kith.knn(f"{out}/activations/h{i}.npy", 15) for i in range(5)}
    stack = kith.merge({**graphs, "logits": kith.knn(f"{out}/activations/head.npy", 15)}, out=f"{out}/stack.json")
    print(stack, stack.nnts(15), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
