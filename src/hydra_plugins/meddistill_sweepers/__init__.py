"""Hydra finds sweepers below `hydra_plugins` alone."""
