"""Random views of training rows: plain modules, called in training only."""
