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

"""How much is asked for at once, on a cluster of many servers."""

import types

import pytest

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import manifests
from ai_factory_plugins.swift import sources


class Cluster:
    """Each object is on three of so many servers."""

    def __init__(self, servers):
        self._servers = servers

    def find(self, policy, container, name):
        first = int(name) if name.isdigit() else 0
        target = backend.Target('', first, 0, 'a', container, name)
        return target, {(first + n) % self._servers: {'device': 'd'}
                        for n in range(3)}


def segments(servers, count, denied=()):
    """How many segments are read of a large object that has so many."""
    rights = types.SimpleNamespace(
        container=lambda name: types.SimpleNamespace(
            status=None, is_raw=True, policy=None),
        denial=lambda container, name: int(name) in denied or None)
    found = sources.Sources(
        rights, Cluster(servers), None, {'servers_at_once': 4})
    known = sources.Object()
    known.manifest = manifests.Manifest('e', [
        manifests.Segment('s', str(n), f'etag {n}', 0)
        for n in range(count)], [10] * count)
    return len(found._segments(sources.Progress(
        entries.Entry(0, 'c', 'large', ()), known)))


@pytest.mark.parametrize('servers, count, expected', [
    (3, 1, 1), (3, 512, 512), (3, 513, 0), (6, 500, 500), (100, 5, 5),
    # One could read three of them, or of twelve.
    (100, 100, 0)])
def test_segments_that_are_asked_for(servers, count, expected):
    """All, or none, which leaves it to Swift."""
    assert segments(servers, count) == expected


def test_denied_segments():
    assert segments(3, 5, {4}) == 0
    assert segments(3, 5, {5}) == 5
