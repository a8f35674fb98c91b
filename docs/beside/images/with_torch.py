import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(0)
digits = load_digits()
X, X_test, y, y_test = train_test_split(digits.images, digits.target, random_state=0)
X, X_test = (torch.tensor(x, dtype=torch.float32)[:, None] / 16 for x in (X, X_test))
y, y_test = torch.tensor(y), torch.tensor(y_test)

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(512, 10),
)
loss, adam = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters())
for _ in range(15):
    for batch in torch.randperm(len(X)).split(32):
        adam.zero_grad()
        loss(net(X[batch]), y[batch]).backward()
        adam.step()

net.eval()
with torch.no_grad():
    score = (net(X_test).argmax(1) == y_test).float().mean().item()
