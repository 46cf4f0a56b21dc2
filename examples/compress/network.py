"""A small convolutional network for images of 32 x 32 pixels: the user's own code, in 20 lines."""

import torch


def block(inputs: int, outputs: int, stride: int = 1) -> torch.nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        torch.nn.BatchNorm2d(outputs),
        torch.nn.ReLU(),
    )


def make(width: int = 16, classes: int = 10) -> torch.nn.Module:
    """Four blocks, a mean over the image, and a linear layer."""
    return torch.nn.Sequential(
        block(1, width, 2),
        block(width, 2 * width, 2),
        block(2 * width, 4 * width, 2),
        block(4 * width, 4 * width),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * width, classes),
    )
