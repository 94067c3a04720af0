"""A small convolutional network in Keras. Runs in the toolchain `tensorflow`, which has numpy but no scikit-learn."""

import keras
import numpy as np
from keras import layers

from onnxyard.project.data import Splits
from onnxyard.project.protocols import Config, Report


def train(splits: Splits, config: Config, report: Report) -> keras.Model:
    """Fit on `splits.train`, whose images have been through `preprocess` already. Onnxyard has seeded Keras."""
    channels = config["channels"]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="pixels"),  # called like the input that `preprocess` gives
            layers.Conv2D(channels, 3, padding="same", activation="gelu"),
            layers.Conv2D(2 * channels, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(config["dropout"]),
            layers.Dense(10, name="logits"),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(config["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        splits.train.inputs["pixels"],
        np.asarray(splits.train.targets),
        batch_size=config["batch_size"],
        epochs=config["epochs"],
        validation_data=(splits.validation.inputs["pixels"], np.asarray(splits.validation.targets)),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=report)],  # feeds the progress bar and MLflow
        verbose=0,
    )
    return model
