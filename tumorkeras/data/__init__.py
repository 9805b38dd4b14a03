"""Files and simulations to arrays."""
