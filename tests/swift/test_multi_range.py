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

"""GETs of several ranges: what Swift gives without the filters."""

import json
import os
import re

import hypothesis
from hypothesis import strategies as st
import pytest

from tests.swift import api
from tests.swift import beside
from tests.swift import conftest
from tests.swift import logs
from tests.swift import processes
from tests.swift import s3 as s3_module

KIB = 1024


def test_is_answered_here(tester, stock, container, blob):
    tester.put(f'/{container}/o', blob, Content_Type='text/plain; a="b"',
               X_Object_Meta_Color='blüe'.encode(), Cache_Control='no-store',
               Content_Disposition='inline', Content_Encoding='gzip',
               Expires='never', X_Delete_After='1000')
    status, headers, body = beside.same(
        tester, stock, f'/{container}/o', 'bytes=0-9,20-29', True)
    assert status == 206
    assert headers['accept-ranges'] == 'bytes'
    assert b'\r\n\r\n' + blob[20:30] + b'\r\n--BOUNDARY--' in body
    tester.request('POST', f'/{container}/o', X_Object_Meta_Color='red',
                   Content_Type='x/y')
    status, headers, _ = beside.same(
        tester, stock, f'/{container}/o', 'bytes=0-9,20-29', True)
    assert headers['x-object-meta-color'] == 'red'


def test_is_logged_as_swift_does(tester, stock, container, blob):
    tester.put(f'/{container}/o', blob)
    found = []
    for user in (tester, stock):
        response = user.request(
            'GET', f'/{container}/o', Range='bytes=0-9,20-29')
        line = logs.of(user, response.headers['x-trans-id']).split()
        # Method, path, status and bytes; storage policy, and the user
        # where Swift tells it.
        found.append([*line[4:8], line[12], *line[21:]])
    assert found[0] == found[1]
    assert found[0][5] == '0'


SIZES = (0, 1, 2, 1000, 65536, 300001, 2500000)


@pytest.fixture(scope='module')
def objects(swift):
    """A container with objects of many sizes and kinds."""
    tester = api.Api(swift)
    tester.put('/several')
    for size in SIZES:
        tester.put(f'/several/o{size}', os.urandom(size),
                   Content_Type='image/png' if size % 2 else 'text/plain')
    tester.put('/several/slo', json.dumps([
        {'path': f'/several/o{size}'} for size in (300001, 1000)]).encode(),
        '?multipart-manifest=put')
    tester.put('/several/link', X_Symlink_Target='several/o65536')
    tester.put('/several/dlo', X_Object_Manifest='several/o3')
    return '/several', [*(f'o{size}' for size in SIZES), 'slo', 'link', 'dlo',
                        'none']


def positions():
    return st.sampled_from([
        '0', '1', '2', '499', '999', '1000', '65535', '65536', '299999',
        '2499999', '99999999', '00', '9' * 25]) | st.integers(
            0, 3000).map(str)


@st.composite
def one_range(draw):
    kind = draw(st.sampled_from(['closed'] * 4 + ['open', 'suffix', 'wrong']))
    if kind == 'wrong':
        return draw(st.sampled_from([
            '', '-', '5', '5-4', 'a-b', '1-2-3', ' 7 - 9 ', '-0', '+1-5',
            '1_0-20', '--5', '5-+9', '\t1-2']))
    if kind == 'suffix':
        return '-' + draw(positions())
    first = draw(positions())
    if kind == 'open':
        return first + '-'
    length = draw(st.integers(0, 70000))
    return f'{first}-{int(first) + length}'


@st.composite
def headers(draw):
    unit = draw(st.sampled_from(['bytes='] * 9 + ['BYTES=', 'items=', '']))
    kind = draw(st.sampled_from(['few', 'few', 'few', 'many', 'ascending']))
    if kind == 'few':
        found = draw(st.lists(one_range(), min_size=1, max_size=5))
    elif kind == 'many':
        found = [f'{n * 10}-{n * 10 + 3}' for n in draw(
            st.permutations(range(draw(st.integers(7, 11)))))]
    else:
        step = draw(st.sampled_from([5, 100, 1000]))
        found = [f'{n * step}-{n * step + draw(st.integers(0, step))}'
                 for n in range(draw(st.integers(1, 52)))]
    return unit + draw(st.sampled_from([',', ',', ', '])).join(found)


@st.composite
def conditions(draw):
    """Conditions, some of which hold."""
    return draw(st.sampled_from([{}] * 6 + [
        {'If_Match': 'ETAG'}, {'If_Match': '"x"'}, {'If_Match': '*'},
        {'If_None_Match': 'ETAG'}, {'If_None_Match': '"x"'},
        {'If_None_Match': '*'}, {'If_Modified_Since': 'CHANGED'},
        {'If_Modified_Since': 'Fri, 01 Jan 2010 00:00:00 GMT'},
        {'If_Unmodified_Since': 'CHANGED'},
        {'If_Unmodified_Since': 'Fri, 01 Jan 2010 00:00:00 GMT'},
        {'If_Modified_Since': 'nonsense'}]))


def test_random(objects, swift, request):
    """Status, headers and bytes are those of Swift."""
    container, names = objects
    ours, stock = api.Api(swift), api.Api(swift, proxy=conftest.STOCK)
    seen, before = [], beside.reads(swift)

    @hypothesis.settings(
        max_examples=5 * request.config.getoption('--examples'),
        deadline=None, database=None)
    @hypothesis.given(st.sampled_from(names), headers(), conditions())
    def run(name, header, more):
        path = f'{container}/{name}'
        known = stock.request('HEAD', path).headers
        more = {key: value.replace('ETAG', known.get('etag', 'x')).replace(
            'CHANGED', known.get('last-modified', 'x'))
            for key, value in more.items()}
        seen.append(beside.same(ours, stock, path, header, **more)[0])

    run()
    assert {206, 416} <= set(seen)
    # Some of them had one range.
    assert beside.settled_reads(swift) > before + seen.count(206) // 4


@pytest.mark.parametrize('header', [
    'bytes=0-9,5-14,12-20,18-25', 'bytes=0-9,5-14,12-20', 'bytes=0-,-5',
    ','.join(['bytes=0-1', *['3-4'] * 49]), 'bytes=5-6,0-1,9-9',
    'bytes=' + ','.join(f'{n}-{n}' for n in range(50)),
    'bytes=' + ','.join(f'{n}-{n}' for n in range(51)),
    'bytes=' + ','.join(f'{n}-{n}' for n in range(8, 0, -1)),
    'bytes=' + ','.join(f'{n}-{n}' for n in range(7, 0, -1)),
    'bytes=0-9,99999999-', 'bytes=99999998-,99999999-', 'bytes=0-9, 10-19'])
def test_limits(tester, stock, container, blob, header):
    """Swift's rules against too many, overlapping and unordered ranges."""
    tester.put(f'/{container}/o', blob)
    beside.same(tester, stock, f'/{container}/o', header)


def test_parts_of_all_sizes(tester, stock, container):
    body = os.urandom(5 * 1024 * KIB + 17)
    tester.put(f'/{container}/o', body)
    for header in ('bytes=0-,0-', 'bytes=1-1048576,1048577-3145729',
                   'bytes=-1,0-0', 'bytes=0-4999999,7-7,-3000000'):
        beside.same(tester, stock, f'/{container}/o', header, True)


def test_what_is_left_to_swift(
        swift, tester, stock, encrypting, ec_container, container, blob):
    several = 'bytes=0-9,20-29'
    tester.put(f'/{ec_container}/o', blob)
    beside.same(tester, stock, f'/{ec_container}/o', several, False)
    tester.put(f'/{container}/o', blob)
    path = f'/{container}/o'
    for options in ({'X_Newest': 'true'}, {'query': '?x=y'},
                    {'Origin': 'http://x.example'}):
        status, *_ = beside.same(
            tester, stock, path, several, False, **options)
        assert status == 206
    tester.put(f'/{container}/type', blob, Content_Type='text/ü'.encode())
    beside.same(tester, stock, f'/{container}/type', several)
    tester.put(f'/{container}/1', blob)
    tester.put(f'/{container}/slo', json.dumps(
        [{'path': f'/{container}/1'}]).encode(), '?multipart-manifest=put')
    for query in ('', '?multipart-manifest=get'):
        beside.same(tester, stock, f'/{container}/slo', several, query=query)
    response = tester.request('HEAD', path, Range=several)
    assert beside.comparable(response) == beside.comparable(
        stock.request('HEAD', path, Range=several))
    beside.same(tester, stock, f'/{container}', several, False)
    beside.same(tester, stock, f'/{container}/none', several)
    beside.same(tester, stock, f'/{container}-none/none', several)


def test_encrypted(encrypting, stock, container, blob):
    path, several = f'/{container}/o', 'bytes=0-9,20-29'
    encrypting.put(path, blob)
    response = encrypting.request('GET', path, Range=several)
    assert response.status == 206
    assert blob[:10] in response.body and blob[20:30] in response.body
    assert response.headers['etag'] == encrypting.get(path).headers['etag']
    # What was written without encryption is answered here.
    path = f'/{container}/plain'
    stock.put(path, blob)
    beside.same(encrypting, stock, path, several, True)


def test_versions(tester, stock, container, blob):
    """A container with versions adds headers of its own."""
    tester.put(f'/{container}/before', blob)
    tester.request('POST', f'/{container}', X_Versions_Enabled='true')
    tester.put(f'/{container}/after', blob)
    for name in ('before', 'after'):
        status, found, _ = beside.same(
            tester, stock, f'/{container}/{name}', 'bytes=0-9,20-29')
        assert status == 206
        assert found['x-object-version-id']


def test_too_many_bytes(tester, stock, container):
    """More than a batch may have; a GET may."""
    tester.put(f'/{container}/o', os.urandom(1024 * KIB) * 40)
    status, *_ = beside.same(
        tester, stock, f'/{container}/o', 'bytes=0-,0-,0-')
    assert status == 206


def test_rights(swift, tester, container):
    tester.put(f'/{container}/o', b'secret')
    several = {'Range': 'bytes=0-1,3-4'}
    for name in ('proxy', conftest.STOCK):
        reader = api.Api(swift, user='reader', proxy=name)
        stranger = api.Api(swift, 'other', 'stranger', proxy=name)
        for user in (reader, stranger):
            response = user.request(
                'GET', f'/{container}/o', account=tester.account, **several)
            assert response.status == 403
        response = reader.request(
            'GET', f'/{container}/o', account=tester.account, token=False,
            **several)
        assert response.status == 401
    tester.request('POST', f'/{container}',
                   X_Container_Read='test:reader,.r:good.example')
    response = reader.request('GET', f'/{container}/o', **several)
    assert response.status == 206
    for referer, status in (('http://good.example/x', 206),
                            ('http://bad.example/x', 401)):
        found = [
            beside.comparable(user.request(
                'GET', f'/{container}/o', account=tester.account, token=False,
                Referer=referer, **several))
            for user in (api.Api(swift, 'other', 'stranger', name)
                         for name in ('proxy', conftest.STOCK))]
        assert found[0] == found[1]
        assert found[0][0] == status


def test_if_range(tester, container, blob):
    etag = tester.put(f'/{container}/o', blob).headers['etag']
    with beside.answered_here(tester.swift):
        response = tester.request(
            'GET', f'/{container}/o', Range='bytes=0-1,4-5', If_Range=etag)
    assert response.status == 206
    response = tester.request(
        'GET', f'/{container}/o', Range='bytes=0-1,4-5', If_Range='"x"')
    assert (response.status, response.body) == (200, blob)


def test_s3_is_left_alone(swift, container, blob):
    s3 = s3_module.S3(swift)
    s3.request('PUT', '/several-of-s3')
    s3.request('PUT', '/several-of-s3/o', blob)
    with beside.answered_here(swift, False):
        response = s3.request(
            'GET', '/several-of-s3/o', Range='bytes=0-1,4-5')
    assert response.status == 206


def test_names(tester, stock, container):
    for name in ('ümlaut-名前', 'a%2Fb', 'q?x=y&z', ' lead', 'new\nline', '..'):
        tester.put(f'/{container}/{name}', name.encode() * 10)
        status, *_ = beside.same(
            tester, stock, f'/{container}/{name}', 'bytes=0-1,4-5', True)
        assert status == 206


def test_an_unknown_filter_leaves_all_to_swift(
        swift, tester, container, blob):
    """It may do something to a GET; this one quotes etags."""
    etag = tester.put(f'/{container}/o', blob).headers['etag']
    with processes.configured(
            swift, right=f'etag-quoter {swift.settings.right}',
            filters={'etag-quoter': {'enable_by_default': 'true'}}):
        response = tester.request(
            'GET', f'/{container}/o', Range='bytes=0-1,4-5')
    assert response.status == 206
    assert response.headers['etag'] == f'"{etag}"'


def test_more_ranges_than_swift_allows(swift, tester, stock, container, blob):
    tester.put(f'/{container}/o', blob)
    several = [(n * 100, n * 100 + 49) for n in range(200)]
    options = {**swift.settings.batch_read, 'max_get_ranges': 200}

    def get(found):
        return tester.request('GET', f'/{container}/o', Range='bytes='
                              + ','.join(f'{a}-{b}' for a, b in found))
    assert get(several).status == 416
    with processes.configured(swift, batch_read=options):
        response = get(several)
        assert response.status == 206
        assert len(response.body) == int(response.headers['content-length'])
        assert re.findall(rb'Content-Range: bytes (\d+)-(\d+)/\d+\r\n\r\n'
                          rb'(.{50})\r\n', response.body, re.S) == [
            (b'%d' % a, b'%d' % b, blob[a:b + 1]) for a, b in several]
        for wrong in (several[:51][::-1], [*several[:60], (5900, 5909)],
                      [*several, (30000, 30001)],
                      [*several[:60], (2 ** 40, 2 ** 41)]):
            assert get(wrong).status == 416
        # Where Swift has a say, its rules hold.
        beside.same(tester, stock, f'/{container}/o',
                    'bytes=0-9,5-14,12-20,18-25')
    with processes.configured(
            swift, batch_read={**options, 'max_get_ranges': 0}):
        beside.same(tester, stock, f'/{container}/o', 'bytes=0-9,20-29', False)
