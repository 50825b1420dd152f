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

"""The parts of output formats and of GETs of several ranges, by themselves."""

import hypothesis
from hypothesis import strategies as st
import pytest
from swift.common.middleware import copy
from swift.common.middleware import etag_quoter
from swift.common import swob
from swift.proxy import server

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift.formats import choice
from ai_factory_plugins.swift.formats import multipart
from ai_factory_plugins.swift.formats import partial
from ai_factory_plugins.swift import multi_range

PATIENT = hypothesis.settings(deadline=None, database=None)


@PATIENT
@hypothesis.given(
    st.lists(st.binary(max_size=50), min_size=1, max_size=6),
    st.lists(st.integers(1, 40), max_size=8))
def test_parts(bodies, cuts):
    """However the data comes, the message is the same."""
    found = multipart.Parts(
        [(7, len(body)) for body in bodies], lambda number: b'<%d>' % number)
    data, sent = b''.join(bodies), []
    for cut in cuts:
        sent += found.take(data[:cut])
        data = data[cut:]
    sent += found.take(data)
    assert b''.join(sent) == b''.join(
        b'<%d>%s\r\n' % item for item in enumerate(bodies))
    assert not found.take(b'')


def request(**environ):
    return swob.Request.blank('/v1/a/c?batch-read=1', environ)


def test_choice():
    for accept in ('multipart/mixed', 'Multipart/Mixed;q=0.9'.lower()):
        assert choice.choose(request(
            HTTP_ACCEPT=accept)) is multipart.Multipart
    with pytest.raises(entries.RequestError) as info:
        choice.choose(request(HTTP_ACCEPT='image/png'))
    assert info.value.status == 406


RANGES = st.lists(st.sampled_from([
    '0-1', '5-', '-3', '1-2', '7-6', '', 'x', '0-0', '9' * 30 + '-']),
    min_size=1, max_size=5)


@PATIENT
@hypothesis.given(RANGES, st.integers(0, 5))
def test_parse(found, limit):
    """What is not left to Swift is what Swift makes of it."""
    header = 'bytes=' + ','.join(found)
    try:
        expected = swob.Range(header).ranges
    except ValueError:
        expected = None
    try:
        got = multi_range.parse({'HTTP_RANGE': header}, limit)
    except partial.NotHere:
        assert (expected is None or not 2 <= len(found) <= limit
                or '9' * 30 + '-' in found)
    else:
        assert got == expected
        assert 2 <= len(got) <= limit


def test_ranges_that_swift_does_not_allow():
    def resolve(found, size=10 ** 6):
        return partial._Range('bytes=' + ','.join(
            f'{a}-{b}' for a, b in found)).ranges_for_length(size)
    many = [(n * 10, n * 10 + 4) for n in range(60)]
    assert resolve(many) == [(a, b + 1) for a, b in many]
    touching = [(n * 10, n * 10 + 9) for n in range(60)]
    assert resolve(touching) == [(a, b + 1) for a, b in touching]
    assert resolve(many[::-1]) == []
    assert resolve([*many, (590, 999)]) == []
    assert resolve(many, 500) == []
    # With as many as Swift allows, what it says.
    for found in (many[:50], many[:50][::-1], [(0, 5)] * 50, many[:7][::-1]):
        assert resolve(found) == swob.Range('bytes=' + ','.join(
            f'{a}-{b}' for a, b in found)).ranges_for_length(10 ** 6)


def test_other_filters():
    class Proxy:
        __module__ = server.__name__
        deny_host_headers = ()

    assert multi_range.is_harmless(
        copy.ServerSideCopyMiddleware(Proxy(), {}))
    assert not multi_range.is_harmless(
        copy.ServerSideCopyMiddleware(None, {}))
    other = etag_quoter.EtagQuoterMiddleware(
        Proxy(), {'enable_by_default': True})
    assert not multi_range.is_harmless(
        copy.ServerSideCopyMiddleware(other, {}))
    Proxy.deny_host_headers = ('bad.example',)
    assert not multi_range.is_harmless(Proxy())


@pytest.mark.parametrize('environ', [
    {'REQUEST_METHOD': 'HEAD'}, {'QUERY_STRING': 'x=y'},
    {'HTTP_X_NEWEST': 'f'}, {'HTTP_ORIGIN': 'x'}, {'swift.source': 'S3'},
    {'HTTP_X_BACKEND_ETAG_IS_AT': 'x'}, {'PATH_INFO': '/v1/a/c'},
    {'PATH_INFO': '/v2/a/c/o'}, {'PATH_INFO': '/v1/a/c/\xff'},
    {'PATH_INFO': '/v1/a/c/o\0'}, {'swift.authorize_override': True},
    {'swift.authorize': None}])
def test_requests_that_are_left_to_swift(environ):
    plain = {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/v1/a/c/o/\xc3\xbc',
             'QUERY_STRING': '', 'swift.authorize': lambda req: None}
    assert multi_range.names(plain) == ['v1', 'a', 'c', 'o/ü']
    changed = {**plain, **environ}
    if changed['swift.authorize'] is None:
        del changed['swift.authorize']
    with pytest.raises(partial.NotHere):
        multi_range.names(changed)
