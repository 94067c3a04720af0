"""A small multilayer perceptron in JAX. Runs in the toolchain `jax`, which has numpy and optax but no scikit-learn."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report


def model(config: Config) -> Callable:
    """The function that `train` finds parameters for: it takes them and the inputs by name. What is exported."""

    def apply(params: dict, features: jax.Array) -> jax.Array:
        """Measurements [rows, 30] to logits [rows, 2]."""
        hidden = (features - params["mean"]) / params["spread"]
        for layer in params["layers"]:
            hidden = jax.nn.gelu(hidden @ layer["weight"] + layer["bias"])
        return hidden @ params["head"]["weight"] + params["head"]["bias"]

    return apply


def train(splits: Splits, config: Config, report: Report) -> dict:
    """Learn the scale of each column, then the layers; returns dicts and lists of arrays."""
    apply = model(config)
    features, diagnosis = splits.train.inputs["features"], np.asarray(splits.train.targets)
    scale = {"mean": features.mean(axis=0), "spread": features.std(axis=0)}
    optimizer = optax.adamw(config["learning_rate"], weight_decay=config["weight_decay"])

    @jax.jit
    def step(weights: dict, state: tuple, features: jax.Array, diagnosis: jax.Array) -> tuple:
        def loss(weights: dict) -> jax.Array:
            logits = apply({**scale, **weights}, features)
            return optax.softmax_cross_entropy_with_integer_labels(logits, diagnosis).mean()

        value, gradient = jax.value_and_grad(loss)(weights)
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, value

    weights = initial(config)
    state = optimizer.init(weights)
    random = np.random.default_rng(config["seed"])
    for epoch in range(config["epochs"]):
        losses = []
        for rows in np.array_split(random.permutation(len(diagnosis)), len(diagnosis) // config["batch_size"]):
            weights, state, value = step(weights, state, features[rows], diagnosis[rows])
            losses.append(float(value))
        accuracy = share_right(apply, {**scale, **weights}, splits.validation)
        report(epoch, {"loss": float(np.mean(losses)), "accuracy": accuracy})
    return {**scale, **weights}


def initial(config: Config) -> dict:
    """Weights to start from; JAX draws nothing without a key."""
    first, second = jax.random.split(jax.random.key(config["seed"]))
    hidden = config["hidden"]
    draw = jax.nn.initializers.he_normal()
    return {
        "layers": [{"weight": draw(first, (30, hidden)), "bias": jnp.zeros(hidden)}],
        "head": {"weight": draw(second, (hidden, 2)), "bias": jnp.zeros(2)},
    }


def share_right(apply: Callable, params: dict, split: Split) -> float:
    """The share of samples that are diagnosed right."""
    logits = np.asarray(apply(params, **split.inputs))
    return float(np.mean(logits.argmax(axis=1) == split.targets))
