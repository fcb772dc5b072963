"""LightningModules and what fits them."""
