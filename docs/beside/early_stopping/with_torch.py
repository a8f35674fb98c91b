import copy

import torch
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score
from torch import nn

torch.manual_seed(0)
X, y = make_friedman1(3000, noise=1.0, random_state=0)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor((y - 14.4) / 5, dtype=torch.float32)[:, None]
train, valid, test = torch.arange(3000).split([2000, 500, 500])

net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
loss, adam = nn.MSELoss(), torch.optim.Adam(net.parameters())
best, kept, since = float("inf"), None, 0
for _ in range(200):
    for batch in train[torch.randperm(len(train))].split(32):
        adam.zero_grad()
        loss(net(X[batch]), y[batch]).backward()
        adam.step()
    with torch.no_grad():
        now = loss(net(X[valid]), y[valid]).item()
    since += 1
    if now < best:
        best, kept, since = now, copy.deepcopy(net.state_dict()), 0
    if since == 10:
        break
net.load_state_dict(kept)

with torch.no_grad():
    score = r2_score(y[test], net(X[test]))
