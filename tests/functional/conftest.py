# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""One real cloud for all functional tests.

It is started beside a cloud that may be running for other purposes, on other
ports, and stopped at the end. With ``--cloud DIR`` the tests use the cloud of
that state directory instead, start it if it does not run, and leave it.
``--seeds N`` makes the random test work longer.
"""

import json
import pathlib

import pytest

from ai_factory_plugins.topology import wire
from cloud import core
from cloud import tenant as tenants

STATE = pathlib.Path(__file__).parents[2] / '.cloud-functional'
PORT_OFFSET = 100


def pytest_addoption(parser):
    parser.addoption('--cloud', help='state directory of a cloud to use')
    parser.addoption('--seeds', type=int, default=1,
                     help='how much random work to do, in 100 operations')


def pytest_generate_tests(metafunc):
    if 'seed' in metafunc.fixturenames:
        metafunc.parametrize(
            'seed', range(1, metafunc.config.getoption('--seeds') + 1))


def without_tags(lines):
    """``device_spec`` lines as an operator writes them who has no tool."""
    specs = [json.loads(line) for line in lines]
    return [json.dumps({k: v for k, v in spec.items()
                        if k not in (wire.TAG_KEY, 'traits')})
            for spec in specs]


COMPUTES = {
    **core.COMPUTES,
    'untagged-1': core.Compute('hgx-h100', without_tags),
}


@pytest.fixture(scope='session')
def cloud(request):
    """A running :class:`~cloud.core.Cloud`."""
    given = request.config.getoption('--cloud')
    found = core.Cloud(given or STATE, PORT_OFFSET, COMPUTES, 'ai-factory')
    if not given:
        found.destroy()
    found.up()
    yield found
    if not given:
        found.down()


@pytest.fixture(scope='session')
def _tenant(cloud):
    return tenants.Tenant(cloud)


@pytest.fixture
def tenant(_tenant):
    """A :class:`~cloud.tenant.Tenant` of an empty cloud."""
    _tenant.clear()
    return _tenant


class Log:
    """What a service has logged since the test began."""

    def __init__(self, path):
        self.path = path
        self.start = path.stat().st_size

    @property
    def text(self):
        with open(self.path, 'rb') as stream:
            stream.seek(self.start)
            return stream.read().decode(errors='replace')


@pytest.fixture
def scheduler_log(cloud):
    """The log of nova-scheduler during the test."""
    return Log(cloud.layout.log('nova-scheduler'))
