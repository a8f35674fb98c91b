import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(0)
X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
scaler = StandardScaler().fit(X)
X, X_test = (torch.tensor(scaler.transform(x), dtype=torch.float32) for x in (X, X_test))
y, y_test = torch.tensor(y), torch.tensor(y_test)

net = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
loss, adam = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters())
for _ in range(100):
    for batch in torch.randperm(len(X)).split(32):
        adam.zero_grad()
        loss(net(X[batch]), y[batch]).backward()
        adam.step()

with torch.no_grad():
    score = (net(X_test).argmax(1) == y_test).float().mean().item()
