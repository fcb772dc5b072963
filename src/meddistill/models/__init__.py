"""Networks: plain modules, `(in_shape, num_classes, own numbers)` to logits [batch, classes]."""
