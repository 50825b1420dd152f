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

"""GETs of several ranges when servers die and objects change."""

import contextlib
import http.client
import os

import pytest

from tests.swift import beside
from tests.swift import conftest
from tests.swift import processes

KIB = 1024
HALVES = 'bytes=0-23999999,24000000-'  # of the large object

pytestmark = pytest.mark.usefixtures('restored')


@pytest.fixture
def large(tester, container):
    body = os.urandom(48 * 1024 * KIB)
    tester.put(f'/{container}/o', body)
    return f'/{container}/o', body


def test_servers_that_die(swift, tester, large):
    """What is missing comes from another replica."""
    path, body = large
    with tester.begun('GET', path, Range=HALVES) as rest:
        swift.stop('object-0', 'object-2', seconds=0)
        found = rest()
    assert found.count(b'Content-Range') == 2
    assert body[:24000000] in found and body[24000000:] in found


def test_all_servers_die(swift, tester, large):
    path, body = large
    with tester.begun('GET', path, Range=HALVES) as rest:
        swift.stop('object-0', 'object-1', 'object-2', seconds=0)
        with pytest.raises(http.client.IncompleteRead):
            rest()


def test_overwritten_in_mid_stream(swift, tester, large):
    path, body = large
    with tester.begun('GET', path, Range=HALVES) as rest:
        tester.put(path, b'new')
        found = rest()
    assert body[:24000000] in found and body[24000000:] in found


def test_no_filter_on_object_servers(swift, tester, stock, container, blob):
    tester.put(f'/{container}/o', blob)
    swift.settings.without_filter = (0, 1, 2)
    processes.restart(swift, *processes.object_servers(swift))
    status, *_ = beside.same(
        tester, stock, f'/{container}/o', 'bytes=0-1,4-5', False)
    assert status == 206


def test_too_many_at_once_go_to_swift(swift, tester, container, large):
    """And batches are not counted with them."""
    path, body = large
    with contextlib.ExitStack() as stack:
        for _ in range(conftest.MAX_BATCHES):
            stack.enter_context(tester.begun(
                'GET', path, Range='bytes=0-23999999,-9'))
        beside.settled_reads(swift)
        with beside.answered_here(swift, False):
            response = tester.request('GET', path, Range='bytes=0-1,4-5')
        assert response.status == 206
        got, = tester.batch([{'object': 'o', 'ranges': [[0, 9]]}], container)
        assert got.data == [body[:10]]
