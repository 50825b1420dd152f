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
"""How the block cache learns that objects are still the same."""

import json
import os
import time
import unittest
from unittest import mock

import pytest

from ai_factory_plugins.swift.cache import renewals
from ai_factory_plugins.swift.cache import versions
from tests.swift import api
from tests.swift import beside
from tests.swift import caches as module

COUNT = 24


@pytest.fixture
def container(pair):
    return module.new_container(pair.stock)


@pytest.fixture
def bodies(uncached, cached, container):
    """Objects that are in the cache.

    :returns: dict of path to bytes
    """
    found = {}
    for number in range(COUNT):
        path = f'/{container}/ä/{number}'
        found[path] = os.urandom(1000 + number)
        uncached.put(path, found[path], X_Object_Meta_Number=str(number))
        assert cached.get(path).body == found[path]
    return found


def heads(caches, container):
    """How many HEADs the object servers have had for a container."""
    return module.reads(caches, f'{container}/', 'HEAD', exactly=False)


def read_all(user, bodies, how='hit'):
    for path, body in bodies.items():
        got = user.get(path)
        assert (module.how(got), got.body) == (how, body)


def keep_reading(user, bodies, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        read_all(user, bodies)
        time.sleep(0.2)


def test_object_servers_are_asked_and_not_the_pipeline(
        caches, cached, container, bodies):
    time.sleep(module.MAX_AGE + 0.1)
    asked = beside.settled_reads(caches)
    read_all(cached, bodies)
    # One by one, as nobody has read them for long.
    assert beside.settled_reads(caches) - asked == COUNT
    assert heads(caches, container) == 0


def test_many_are_renewed_together(caches, cached, container, bodies):
    read_all(cached, bodies)
    asked = beside.reads(caches)
    seconds = 3 * module.MAX_AGE
    keep_reading(cached, bodies, seconds)
    # Each time, one server is asked for all that are due by then. On a busy
    # machine, some are read too late for that.
    assert beside.settled_reads(caches) - asked < (
        COUNT * seconds / module.MAX_AGE / 2)
    assert heads(caches, container) == 0


@pytest.mark.parametrize('kind', ('PUT', 'POST', 'DELETE'))
def test_what_others_write_is_seen_by_who_reads_all_the_time(
        uncached, cached, bodies, kind):
    keep_reading(cached, bodies, module.MAX_AGE)
    path = list(bodies)[5]
    response = uncached.request(
        kind, path, **({'body': b'other'} if kind == 'PUT' else {}),
        X_Object_Meta_Number='new')
    assert response.status in (201, 202, 204)
    written = time.monotonic()
    while True:
        asked = time.monotonic()
        got = cached.get(path)
        if got.headers.get('x-object-meta-number') != '5':
            break
        assert got.body == bodies[path]
        assert asked - written < module.MAX_AGE
        time.sleep(0.02)
    for _ in range(3):
        got, expected = cached.get(path), uncached.get(path)
        assert got.status == expected.status
        assert got.body == expected.body
        assert module.plain(got) == module.plain(expected)


def test_what_only_a_head_can_tell(caches, uncached, cached, container):
    """Erasure codes and links; nobody is asked again in vain."""
    body = os.urandom(70000)
    uncached.put(f'/{container}/link', X_Symlink_Target=f'{container}-ec/o')
    uncached.put(f'/{container}-ec', X_Storage_Policy='ec')
    uncached.put(f'/{container}-ec/o', body)
    paths = (f'/{container}/link', f'/{container}-ec/o')
    for number in range(4):
        if number == 2:
            time.sleep(module.MAX_AGE)
            asked = beside.reads(caches)
        for path in paths:
            assert cached.get(path).body == body
        time.sleep(module.MAX_AGE + 0.1)
    assert beside.reads(caches) == asked
    assert module.reads(caches, f'{container}/link', 'HEAD') > 0


def test_segmented_objects(caches, uncached, cached, container):
    """Manifest and segments are the same, until they are others."""
    for body in (os.urandom(70000), os.urandom(80000)):
        uncached.put(f'/{container}/s', body)
        uncached.put(f'/{container}/slo', json.dumps([
            {'path': f'/{container}/s'}]).encode(), '?multipart-manifest=put')
        # The second time is that which brings another version.
        for _ in range(2):
            time.sleep(module.MAX_AGE + 0.1)
            assert cached.get(f'/{container}/slo').body == body
        heads = module.reads(caches, f'{container}/slo', 'HEAD')
        time.sleep(module.MAX_AGE + 0.1)
        got = cached.get(f'/{container}/slo')
        assert (module.how(got), got.body) == ('hit', body)
        assert module.reads(caches, f'{container}/slo', 'HEAD') == heads


@pytest.mark.parametrize('proxy', (
    module.LEFT_OF_CRYPTO, module.RIGHT_OF_CRYPTO))
def test_encrypted_objects(caches, container, proxy):
    user, body = api.Api(caches, proxy=proxy), os.urandom(70000)
    user.put(f'/{container}/o', body)
    for _ in range(3):
        for _ in range(2):
            got = user.get(f'/{container}/o')
            assert (got.status, got.body) == (200, body)
        assert module.how(got) == 'hit'
        time.sleep(module.MAX_AGE + 0.1)


def test_servers_without_the_filter(
        caches, uncached, cached, container, bodies):
    servers = [caches.object_server(number) for number in range(3)]
    caches.stop(*servers)
    caches.settings.without_filter = (0, 1, 2)
    try:
        caches.start(*servers)
        time.sleep(module.MAX_AGE + 1.1)  # They were avoided for a while.
        read_all(cached, bodies)
        assert heads(caches, container) >= COUNT
        changed = dict.fromkeys(bodies, b'other')
        for path, body in changed.items():
            uncached.put(path, body)
        time.sleep(module.MAX_AGE + 0.1)
        for path in changed:
            assert cached.get(path).body == b'other'
    finally:
        caches.settings.without_filter = ()
        caches.stop(*servers)
        caches.start(*servers)
        # It is remembered that they have none.
        module.restart(caches, module.CACHED)


def test_a_server_that_is_away(caches, uncached, cached, container, bodies):
    victim = caches.object_server(1)
    caches.stop(victim)
    try:
        time.sleep(module.MAX_AGE + 0.1)
        read_all(cached, bodies)
        keep_reading(cached, bodies, module.MAX_AGE)
    finally:
        caches.start(victim)


class RenewalsTest(unittest.TestCase):
    """Times are in parts of a max_age of 100 seconds."""

    def setUp(self):
        super().setUp()
        self.asked, self.spawned, self.slept = [], [], []
        self.confirms = True
        self.logger = mock.Mock()
        self.renewals = renewals.Renewals(
            self.same, 100, self.spawned.append, self.slept.append,
            self.logger)

    def same(self, records):
        self.asked.append(list(records))
        if isinstance(self.confirms, Exception):
            raise self.confirms
        return records if self.confirms else []

    def record(self, number=1):
        return versions.Record(number, 'token', 0, 0)

    def test_together(self):
        records = [self.record(number) for number in range(5)]
        for age in (0, 49, 50, 60, 99):
            for record in records:
                self.renewals.note(record, age)
        self.assertEqual(1, len(self.spawned))
        self.spawned[0]()
        self.assertEqual([records], self.asked)
        self.assertEqual([25], self.slept)
        for record in records:
            self.assertGreater(record.seen, 0)
            self.assertFalse(record.is_due)

    def test_later_ones(self):
        first, second = self.record(1), self.record(2)
        self.renewals._sleep = lambda _: self.renewals.note(second, 50)
        self.renewals.note(first, 50)
        self.spawned[0]()
        self.assertEqual([[first, second]], self.asked)
        third = self.record(3)
        self.renewals.note(third, 50)
        self.assertEqual(2, len(self.spawned))

    def test_not_confirmed(self):
        for self.confirms in (False, OSError('gone')):
            record = self.record()
            self.renewals.note(record, 50)
            self.spawned.pop()()
            self.assertEqual((0, True), (record.seen, record.is_due))
            # One try is enough.
            self.renewals.note(record, 60)
            self.assertEqual([], self.spawned)
        self.assertEqual(1, self.logger.exception.call_count)
