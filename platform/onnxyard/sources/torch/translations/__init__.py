"""One module per entry of the catalogue (`onnxyard.sources.torch.catalogue`); each holds a `TRANSLATION`."""
