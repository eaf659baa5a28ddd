"""Models that other processes can import, for tests of clusters."""

import time


def slow_identity(batch):
    """The image itself, after a while."""
    time.sleep(0.03)
    return batch["image"]
