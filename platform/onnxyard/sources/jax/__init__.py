"""JAX functions with their parameters, in the toolchain `jax`."""
