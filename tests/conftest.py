"""One simulated AWS for all tests; each test has accounts of its own in it."""

import contextlib

import pytest

from .harness.processes import simulated_aws
from .harness.world import World

_running = contextlib.ExitStack()


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.simulated_aws = _running.enter_context(simulated_aws())


def pytest_configure_node(node):
    """The tests run in several processes; they share the one that the first started."""
    node.workerinput["simulated_aws"] = node.config.simulated_aws


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        _running.close()


@pytest.fixture
def world(request):
    config = request.config
    url = config.workerinput["simulated_aws"] if hasattr(config, "workerinput") else config.simulated_aws
    world = World(url)
    yield world
    world.close()
