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

"""Reads through the rest of the pipeline, which may answer anything."""

import hashlib
import types

import eventlet
import pytest
from swift.common import swob

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift import ordinary

OLD, NEW = b'0123456789', b'abcdefghij'


class Pipeline:
    """The rest of a pipeline, with one object.

    :param bodies: the object at each GET; the last one stays
    :param ignores: names of headers that it does not look at
    :param cut: bytes that are missing at the end of each answer
    """

    def __init__(self, *bodies, ignores=(), cut=0):
        self._bodies = list(bodies)
        self._ignores = ignores
        self._cut = cut
        self.asked = []  # (path, Range, If-Match) of each GET

    def __call__(self, env, start_response):
        body = self._bodies[0]
        if len(self._bodies) > 1:
            del self._bodies[0]
        req = swob.Request(env)
        self.asked.append((req.path_qs, req.headers.get('Range'),
                           req.headers.get('If-Match')))
        for name in self._ignores:
            req.headers.pop(name, None)
        response = swob.Response(
            request=req, body=body, conditional_response=True, headers={
                'ETag': etag(body)})
        found = list(response(env, start_response))
        return [data[:len(data) - self._cut] for data in found]


def etag(body):
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def reads(pipeline, concurrency=4):
    env = swob.Request.blank(
        '/v1/a/c?batch-read=1', {'REQUEST_METHOD': 'POST'}).environ
    paths = types.SimpleNamespace(path=lambda *names: '/v1/a/' + '/'.join(
        names))
    return ordinary.OrdinaryReads(env, pipeline, paths, concurrency)


def read(pipeline, *ranges, **options):
    """The bytes of an entry."""
    found = reads(pipeline).open(
        entries.Entry(0, 'c', 'o', ranges, **options))
    try:
        return b''.join(found)
    finally:
        found.close()


def failure(pipeline, *ranges, **options):
    """Status of a read that fails."""
    with pytest.raises(ordinary.ReadFailed) as caught:
        read(pipeline, *ranges, **options)
    return caught.value.status


def test_each_range_is_of_the_first_version():
    pipeline = Pipeline(OLD)
    assert read(pipeline, (2, 4), (None, 1), (8, None)) == b'234' b'9' b'89'
    known = f'"{etag(OLD)}"'
    assert pipeline.asked == [
        ('/v1/a/c/o', wanted, etag_of) for wanted, etag_of in (
            ('bytes=2-4', None), ('bytes=9-9', known), ('bytes=8-9', known))]
    assert failure(Pipeline(OLD, NEW), (0, 1), (2, 3)) == 412


def test_an_etag_that_the_client_asks_for():
    assert read(Pipeline(OLD), (0, 1), etag=etag(OLD)) == OLD[:2]
    assert read(Pipeline(OLD), etag='*') == OLD
    assert failure(Pipeline(NEW), (0, 1), etag=etag(OLD)) == 412


def test_another_size_tells_of_a_change_as_well():
    pipeline = Pipeline(OLD, NEW * 2, ignores=['If-Match'])
    assert failure(pipeline, (0, 1), (2, 3)) == 409


def test_answers_without_ranges():
    """A whole object, of which the ranges are cut."""
    pipeline = Pipeline(OLD, ignores=['Range'])
    assert read(pipeline, (2, 4), (None, 3)) == b'234789'
    assert failure(Pipeline(OLD, ignores=['Range']), (10, None)) == 416


def test_answers_that_are_cut_short():
    for ranges in ((), ((0, 4),)):
        assert failure(Pipeline(OLD, cut=1), *ranges) == 503


def test_the_last_bytes_of_nothing():
    assert read(Pipeline(b''), (None, 5)) == b''
    assert failure(Pipeline(b''), (0, 5)) == 416


def test_names_are_quoted():
    """And the query of the batch is not that of the read."""
    pipeline = Pipeline(OLD)
    found = reads(pipeline).open(entries.Entry(0, 'c', 'a%2Fb?x=y z'))
    found.close()
    assert pipeline.asked[0][0] == '/v1/a/c/a%252Fb%3Fx%3Dy%20z'


def test_what_comes_next_is_begun():
    """Not more of them at once than are allowed, and none that is far."""
    pipeline = Pipeline(OLD)
    wanted = [entries.Entry(number, 'c', f'o{number}')
              for number in (0, 1, 2, 3, 90)]
    found = reads(pipeline, concurrency=3)
    found.expect(wanted)
    for entry, begun in zip(wanted, (3, 3, 4, 4, 5)):
        answer = found.open(entry)
        assert b''.join(answer) == OLD
        answer.close()
        eventlet.sleep()
        assert len(pipeline.asked) == begun, entry
    assert sorted(path for path, *_ in pipeline.asked) == [
        f'/v1/a/c/o{number}' for number in (0, 1, 2, 3, 90)]
    found.close()
