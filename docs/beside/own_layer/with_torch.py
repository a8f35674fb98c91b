import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class Gated(nn.Module):
    def __init__(self, inputs, units):
        super().__init__()
        self.gate = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, units)))
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, units)))

    def forward(self, x):
        return (x @ self.weight) * torch.sigmoid(x @ self.gate)


torch.manual_seed(0)
X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
X, X_test = (torch.tensor(x, dtype=torch.float32) / 16 for x in (X, X_test))
y, y_test = torch.tensor(y), torch.tensor(y_test)

net = nn.Sequential(Gated(64, 96), Gated(96, 96), nn.Linear(96, 10))
loss, adam = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters())
for _ in range(30):
    for batch in torch.randperm(len(X)).split(32):
        adam.zero_grad()
        loss(net(X[batch]), y[batch]).backward()
        adam.step()

with torch.no_grad():
    score = (net(X_test).argmax(1) == y_test).float().mean().item()
