"""The cache of decoded blocks: one decode a block, a budget of bytes, errors that do not stick."""

import multiprocessing
import threading
import time
import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.data.blocks import BlockCache, default_cache
from swath.errors import ConfigError, ReadError


def block(size):
    return np.ones(size, np.uint8)


def test_a_block_is_decoded_once_however_many_ask():
    cache, calls, start = BlockCache(1000), [], threading.Barrier(8)

    def decode():
        calls.append(1)
        time.sleep(0.05)
        return block(10)

    def ask(_):
        start.wait()
        return cache.get("key", decode)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert len(calls) == 1
    assert all(answer is answers[0] for answer in answers)
    assert (cache.hits, cache.misses) == (7, 1)


def test_an_error_reaches_all_who_wait_and_the_next_may_succeed():
    cache, start = BlockCache(1000), threading.Barrier(4)

    def fail():
        time.sleep(0.05)
        raise ReadError("no")

    def ask(_):
        start.wait()
        with pytest.raises(ReadError):
            cache.get("key", fail)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    assert cache.get("key", lambda: block(3)).size == 3
    assert cache.used == 3


@given(
    budget=st.integers(20, 60),
    asked=st.lists(st.integers(0, 9), max_size=60),
)
def test_it_holds_what_a_plain_model_of_lru_holds(budget, asked):
    sizes = [1, 2, 3, 5, 7, 11, 13, 17, 19, 20]
    cache, model = BlockCache(budget), OrderedDict()
    for key in asked:
        was_there = key in model
        model[key] = model.pop(key, sizes[key])
        while sum(model.values()) > budget:
            model.popitem(last=False)
        misses = cache.misses
        assert cache.get(key, lambda key=key: block(sizes[key])).size == sizes[key]
        assert (cache.misses == misses) == was_there
        assert cache.used == sum(model.values()) <= budget


def test_blocks_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        BlockCache(10).get(0, lambda: block(3))[0] = 1


def test_a_budget_below_one_block_works_and_says_so_once():
    cache = BlockCache(5)
    with pytest.warns(RuntimeWarning, match=r"6 bytes is larger than the cache's budget of 5 bytes"):
        assert cache.get(0, lambda: block(6)).size == 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.get(0, lambda: block(6)).size == 6
        assert BlockCache(0).get(0, lambda: block(6)).size == 6
    assert (cache.misses, cache.used) == (2, 0)


def test_budgets():
    for make in (BlockCache, BlockCache(3).resize):
        with pytest.raises(ConfigError, match="negative"):
            make(-1)
    cache = BlockCache(10)
    for key in range(5):
        cache.get(key, lambda: block(2))
    cache.resize(4)
    assert cache.used == 4
    cache.get(4, lambda: pytest.fail("the newest block is kept"))
    cache.clear()
    assert cache.used == 0


def _child(queue):
    queue.put(default_cache().get("after fork", lambda: block(4)).size)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_fork_is_not_stuck_on_its_parents_lock():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with default_cache()._lock:
        child = context.Process(target=_child, args=(queue,))
        child.start()
    assert queue.get(timeout=60) == 4
    child.join()
