"""Comparing tensors: errors, decision flips, confidence bounds. numpy only."""
