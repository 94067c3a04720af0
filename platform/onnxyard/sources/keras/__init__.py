"""Keras 3 models and TensorFlow SavedModels, in the toolchain `tensorflow`."""
