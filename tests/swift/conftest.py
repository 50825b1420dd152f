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

"""One real Swift for all tests.

Three object servers with two devices each, three replicas, a second policy
that is erasure-coded, and four proxies: one with the filters, one that
encrypts as well, one whose S3 has ACLs of objects, and one without the
filters. It is started for the tests and deleted afterwards.
"""

import itertools
import os
import pathlib

import pytest

from cloud.services import swift as swift_module
from tests.swift import api
from tests.swift import caches as caches_module
from tests.swift import processes

STATE = pathlib.Path(__file__).parents[2] / '.cloud-swift'
BASE_PORT = 21500
ENCRYPTING = 'proxy-encrypting'
STOCK = 'proxy-stock'
S3_ACL = 'proxy-s3-acl'
MAX_BATCHES = 24
SERVERS_AT_ONCE = 2  # fewer than there are
MAX_BYTES = 100 * 1024 * 1024
SETTINGS = {
    'ec': True, 'stock': (STOCK,), 's3api': {}, 's3_acl': (S3_ACL,),
    'proxies': {'proxy': '', ENCRYPTING: 'keymaster encryption', STOCK: '',
                S3_ACL: ''},
    # A server that the tests stop comes back at once.
    'proxy': {'node_timeout': 3, 'conn_timeout': 1,
              'error_suppression_interval': 1},
    'batch_read': {'recheck_servers': 0, 'max_batches': MAX_BATCHES,
                   'max_bytes': MAX_BYTES,
                   'servers_at_once': SERVERS_AT_ONCE}}
_numbers = itertools.count()


def pytest_addoption(parser):
    parser.addoption('--examples', type=int, default=30,
                     help='how much random work to do')


@pytest.fixture(scope='session')
def swift():
    with processes.running(swift_module.Swift(
            STATE, BASE_PORT, swift_module.Settings(**SETTINGS))) as found:
        yield found


@pytest.fixture(scope='session')
def caches():
    """Another Swift, whose proxies have block caches; see caches.py."""
    with processes.running(
            caches_module.make(), caches_module.up) as found:
        yield found


@pytest.fixture
def restored(swift):
    """All processes run again after the test, as they were configured."""
    yield
    processes.restore(swift)


@pytest.fixture
def pair(caches):
    """The owner, at a proxy with a cache and at one without."""
    return caches_module.Pair(caches)


@pytest.fixture
def uncached(pair):
    """The owner, at the proxy without a cache."""
    return pair.stock


@pytest.fixture
def cached(pair):
    """The owner, at the proxy with a cache."""
    return pair.cached


@pytest.fixture
def tester(swift):
    """The account's owner."""
    return api.Api(swift)


@pytest.fixture
def encrypting(swift):
    """The owner, at the proxy that encrypts."""
    return api.Api(swift, proxy=ENCRYPTING)


@pytest.fixture
def stock(swift):
    """The owner, at the proxy without the filters."""
    return api.Api(swift, proxy=STOCK)


@pytest.fixture
def container(tester):
    """Name of a new container."""
    name = f'c{next(_numbers)}'
    tester.put(f'/{name}')
    return name


@pytest.fixture
def ec_container(tester):
    """Name of a new container whose objects are erasure-coded."""
    name = f'ec{next(_numbers)}'
    tester.put(f'/{name}', X_Storage_Policy='ec')
    return name


@pytest.fixture
def blob():
    """Bytes, with a megabyte and a bit more of them."""
    return os.urandom(1024 * 1024 + 4321)
