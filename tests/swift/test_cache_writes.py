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
"""How old what comes from the cache may be."""

import http.client
import os
import time

import pytest

from tests.swift import api
from tests.swift import caches as module


@pytest.fixture
def second(caches):
    """A proxy that believes for an hour, unless it is told."""
    return api.Api(caches, proxy=module.SECOND)


@pytest.fixture
def path(uncached):
    """An object in a container that all may read."""
    container = module.new_container(uncached)
    module.set_readers(uncached, container, '.r:*')
    return f'/{container}/o'


@pytest.fixture
def no_memcached(caches):
    """Stop memcached; it comes back, and has forgotten all."""
    yield lambda: caches.stop('memcached')
    if caches.pid('memcached') is None:
        caches.start('memcached')
    module.until(lambda: all(
        _works(caches, proxy) for proxy in caches.settings.proxies))


def _works(caches, proxy):
    """Whether a proxy uses memcached again, in which it keeps tokens."""
    try:
        user = api.Api(caches, proxy=proxy)
        return user.request('HEAD').status == 204
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize('writer', ('cached', 'second'))
def test_no_read_is_older_than_a_write(cached, second, path, writer):
    writer = {'cached': cached, 'second': second}[writer]
    for number in range(5):
        body = os.urandom(100000 + number)
        writer.put(path, body)
        for user in (cached, second):
            module.warm(user, path, body)
        writer.request('POST', path, X_Object_Meta_Number=str(number))
        for user in (cached, second):
            got = user.get(path, (5, 9))
            assert got.headers['x-object-meta-number'] == str(number)
            # The bytes are those that were there.
            assert (module.how(got), got.body) == ('hit', body[5:10])
        writer.delete(path)
        for user in (cached, second):
            assert user.get(path, (5, 9)).status == 404


def test_writes_that_are_not_seen(uncached, cached, second, path):
    body, other = os.urandom(100000), os.urandom(100000)
    uncached.put(path, body)
    for user in (cached, second):
        module.warm(user, path, body)
    uncached.put(path, other)
    deadline = time.time() + module.MAX_AGE
    while cached.get(path).body == body:
        assert time.time() < deadline + 1
    assert cached.get(path).body == other
    # That one has not asked yet.
    assert second.get(path).body == body
    uncached.delete(path)
    time.sleep(module.MAX_AGE)
    assert cached.get(path).status == 404


def test_refused_writes_forget_nothing(caches, cached, second, path):
    body = os.urandom(100000)
    cached.put(path, body)
    module.warm(second, path, body)
    reader = api.Api(caches, user='reader', proxy=module.CACHED)
    before = module.reads(caches, path[1:])
    for method in ('PUT', 'POST', 'DELETE'):
        assert reader.request(method, path, b'x').status == 403
    assert module.how(second.get(path)) == 'hit'
    assert module.reads(caches, path[1:]) == before


def test_large_objects_are_deleted(cached, second, path):
    """Writes that filters to the left make are seen as well."""
    container = path.split('/')[1]
    cached.put(f'/{container}/s', os.urandom(100000))
    cached.put(path, api.json.dumps([{'path': f'/{container}/s'}]).encode(),
               '?multipart-manifest=put')
    body = cached.get(path).body
    module.warm(second, path, body)
    response = cached.request(
        'DELETE', path, query='?multipart-manifest=delete')
    assert response.status == 200
    assert second.get(path).status == 404
    assert second.get(f'/{container}/s').status == 404


def test_a_stale_replica_is_not_believed_after_a_write(
        caches, cached, second, path):
    """A server that was away while an object was written has an old one."""
    for number in range(3):
        old, new = os.urandom(100000), os.urandom(90000)
        cached.put(path, old)
        module.warm(second, path, old)
        victim = caches.object_server(number)
        caches.stop(victim)
        cached.put(path, new)
        caches.start(victim)
        time.sleep(1.1)  # It was avoided for that long.
        for _ in range(10):
            for user in (cached, second):
                assert user.get(path).body == new


def test_without_memcached(caches, uncached, cached, path, no_memcached):
    body = os.urandom(100000)
    uncached.put(path, body)
    module.warm(cached, path, body)
    no_memcached()
    # Tokens are in memcached as well; this object is public.
    for _ in range(3):
        got = cached.request('GET', path, token=False)
        assert (module.how(got), got.body) == ('bypass', body)


def test_trust_without_memcached(caches, uncached, path, no_memcached):
    body = os.urandom(100000)
    uncached.put(path, body)
    trusting = api.Api(caches, proxy=module.TRUSTING)
    module.warm(trusting, path, body)
    no_memcached()
    for _ in range(3):
        got = trusting.request('GET', path, token=False)
        assert got.body == body
    assert module.how(got) == 'hit'
    # Of its own writes it knows.
    options = {'proxy': module.TRUSTING, 'path': f'/trust-{time.time_ns()}'}
    assert module.s3(caches, method='PUT', **options).status == 200
    options['path'] += '/o'
    for number in range(3):
        body = os.urandom(100000 + number)
        got = module.s3(caches, method='PUT', body=body, **options)
        assert got.status == 200
        for _ in range(2):
            assert module.s3(caches, **options).body == body


def test_memcached_forgets(
        caches, uncached, cached, second, path, no_memcached):
    body, other = os.urandom(100000), os.urandom(100000)
    uncached.put(path, body)
    for user in (cached, second):
        module.warm(user, path, body)
    uncached.put(path, other)
    assert second.get(path).body == body
    no_memcached()
    caches.start('memcached')
    # What it has believed for an hour rested on a token that is gone.
    deadline = time.time() + 90
    while second.request('GET', path, token=False).body != other:
        assert time.time() < deadline
        time.sleep(0.5)
