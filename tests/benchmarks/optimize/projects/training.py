"""What the benchmark's torch projects share: fitting a classifier, and its accuracy."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from onnxyard.project.data import Split
from onnxyard.project.protocols import Config, Report

BATCH = 64


def fit(module: nn.Module, split: Split, config: Config, report: Report) -> nn.Module:
    """Stochastic gradient descent with momentum, on one cycle of the learning rate."""
    inputs = [torch.from_numpy(array) for array in split.inputs.values()]
    labels = torch.from_numpy(np.asarray(split.targets)).long()
    steps = config["epochs"] * -(-len(labels) // BATCH)
    optimizer = torch.optim.AdamW(module.parameters(), lr=config["learning_rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config["learning_rate"], total_steps=steps)
    module.train()
    for epoch in range(config["epochs"]):
        losses = []
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = functional.cross_entropy(module(*(each[rows] for each in inputs)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        report(epoch, {"loss": float(np.mean(losses))})
    return module.eval()


def accuracy(targets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """The share of rows that are decided rightly."""
    return {"accuracy": float(np.mean(logits.argmax(axis=1) == np.asarray(targets)))}
