"""PyTorch: an `nn.Module`, or a state dict for one."""
