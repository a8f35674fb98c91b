from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.optim import lr_scheduler

torch.manual_seed(0)
X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
X, X_test = (torch.tensor(x, dtype=torch.float32) / 16 for x in (X, X_test))
y, y_test = torch.tensor(y), torch.tensor(y_test)
path, steps = Path("torch.pt"), -(-len(X) // 32)

net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
loss, adam = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=3e-3)
warm = lr_scheduler.LinearLR(adam, 1e-3, total_iters=4 * steps)
cosine = lr_scheduler.CosineAnnealingLR(adam, 36 * steps)
rate = lr_scheduler.SequentialLR(adam, [warm, cosine], milestones=[4 * steps])
first = 0
# Started again, it goes on at the last whole epoch, in the same order of the samples.
if path.exists():
    saved = torch.load(path)
    net.load_state_dict(saved["net"])
    adam.load_state_dict(saved["adam"])
    rate.load_state_dict(saved["rate"])
    torch.set_rng_state(saved["random"])
    first = saved["epoch"]
for epoch in range(first, 40):
    for batch in torch.randperm(len(X)).split(32):
        adam.zero_grad()
        loss(net(X[batch]), y[batch]).backward()
        adam.step()
        rate.step()
    parts = {"net": net.state_dict(), "adam": adam.state_dict(), "rate": rate.state_dict()}
    torch.save(parts | {"random": torch.get_rng_state(), "epoch": epoch + 1}, "torch.new")
    Path("torch.new").replace(path)

with torch.no_grad():
    score = (net(X_test).argmax(1) == y_test).float().mean().item()
