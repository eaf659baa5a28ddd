"""A division of scenes into two parts, for tests of splits."""

import numpy as np


class Left:
    """Columns left of `edge` are for training, all others for testing."""

    def __init__(self, edge):
        self.edge = edge

    def mask(self, window, part):
        left = np.arange(window.col, window.col_stop)[None] < self.edge
        return np.broadcast_to(left if part == "train" else ~left, window.shape)
