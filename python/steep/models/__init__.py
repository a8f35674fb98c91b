"""Ready networks by name; each returns a network whose input shape `build` or `fit` tells.

Those for images are the networks of the papers they cite. Counts in their docstrings are parameters
that are learned, and multiplications with an addition in products and convolutions, one sample.
"""

from .alexnet import alexnet
from .convnet import convnet
from .dcgan import dcgan
from .dense import mlp
from .densenet import densenet, densenet_bc
from .gcn import gcn
from .googlenet import googlenet
from .lenet import lenet5
from .realmlp import realmlp, realmlp_settings
from .recurrent import char_lstm, lstm_classifier
from .resnet import resnet, resnet_cifar
from .tabm import tabm
from .transformers import gpt, vit
from .unet import unet
from .vae import vae
from .vgg import vgg

__all__ = [
    "alexnet",
    "char_lstm",
    "convnet",
    "dcgan",
    "densenet",
    "densenet_bc",
    "gcn",
    "googlenet",
    "gpt",
    "lenet5",
    "lstm_classifier",
    "mlp",
    "realmlp",
    "realmlp_settings",
    "resnet",
    "resnet_cifar",
    "tabm",
    "unet",
    "vae",
    "vgg",
    "vit",
]
