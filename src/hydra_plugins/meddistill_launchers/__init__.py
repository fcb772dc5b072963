"""Hydra finds launchers below `hydra_plugins` alone."""
