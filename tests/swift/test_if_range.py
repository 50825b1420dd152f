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

"""If-Range: a range only of the object that the client knows."""

import pytest

from tests.swift import api
from tests.swift import conftest
from tests.swift import s3 as s3_module

OLD, NEW = b'0123456789', b'abcdefghijkl'


def get(user, path, if_range, wanted=(2, 4), **headers):
    return user.get(path, wanted, If_Range=if_range, **headers)


@pytest.fixture
def etag(tester, container):
    """Of an object that is overwritten afterwards."""
    return tester.put(f'/{container}/o', OLD).headers['etag']


@pytest.mark.parametrize('form', ['{}', '"{}"', ' "{}" '])
def test_same(tester, container, etag, form):
    response = get(tester, f'/{container}/o', form.format(etag))
    assert (response.status, response.body) == (206, OLD[2:5])
    assert response.headers['content-range'] == 'bytes 2-4/10'
    response = get(tester, f'/{container}/o', form.format(etag), (99, None))
    assert response.status == 416


def test_another(tester, container, etag):
    tester.put(f'/{container}/o', NEW)
    for wanted in ((2, 4), (99, None), (None, 3)):
        response = get(tester, f'/{container}/o', f'"{etag}"', wanted)
        assert (response.status, response.body) == (200, NEW)
        assert 'content-range' not in response.headers
    # That is what it is about.
    stock = api.Api(tester.swift, proxy=conftest.STOCK)
    assert get(stock, f'/{container}/o', f'"{etag}"').status == 206


def test_no_strong_validators(tester, container, etag):
    changed = tester.get(f'/{container}/o').headers['last-modified']
    for value in (f'W/"{etag}"', changed, '', '*', f'"{etag}", "{etag}"'):
        response = get(tester, f'/{container}/o', value)
        assert (response.status, response.body) == (200, OLD)


def test_several_ranges(tester, container, etag):
    options = {'If_Range': etag, 'Range': 'bytes=0-1,4-5'}
    response = tester.request('GET', f'/{container}/o', **options)
    assert response.status == 206
    assert response.headers['content-type'].startswith('multipart/byteranges')
    tester.put(f'/{container}/o', NEW)
    response = tester.request('GET', f'/{container}/o', **options)
    assert (response.status, response.body) == (200, NEW)


def test_other_conditions_come_first(tester, container, etag):
    path = f'/{container}/o'
    assert get(tester, path, '"x"', If_Match='"x"').status == 412
    assert get(tester, path, '"x"', If_None_Match=f'"{etag}"').status == 304


def test_segments(tester, container):
    tester.put(f'/{container}/1', OLD)
    tester.put(f'/{container}/big', b'[{"path": "/%s/1"}]' % (
        container.encode(),), '?multipart-manifest=put')
    etag = tester.get(f'/{container}/big').headers['etag']
    response = get(tester, f'/{container}/big', etag)
    assert (response.status, response.body) == (206, OLD[2:5])
    response = get(tester, f'/{container}/big', '"x"')
    assert (response.status, response.body) == (200, OLD)


def test_encrypted(tester, encrypting, container):
    encrypting.put(f'/{container}/o', OLD)
    etag = encrypting.get(f'/{container}/o').headers['etag']
    response = get(encrypting, f'/{container}/o', f'"{etag}"')
    assert (response.status, response.body) == (206, OLD[2:5])
    response = get(encrypting, f'/{container}/o', '"x"')
    assert (response.status, response.body) == (200, OLD)


def test_rights(swift, tester, container, etag):
    reader = api.Api(swift, user='reader')
    for value in (etag, '"x"'):
        response = get(reader, f'/{container}/o', value,
                       account=tester.account)
        assert response.status == 403
        assert not set(OLD) <= set(response.body)


def test_nothing_else_changes(tester, container, etag):
    """What is no GET of a range of an object goes as before."""
    path = f'/{container}/o'
    assert tester.get(path, If_Range='"x"').body == OLD
    response = tester.request('HEAD', path, If_Range='"x"', Range='bytes=0-1')
    assert response.headers['content-length'] == '10'
    assert get(tester, f'/{container}/none', '"x"').status == 404
    assert get(tester, f'/{container}', '"x"').status == 200
    s3 = s3_module.S3(tester.swift)
    response = s3.request('GET', path, Range='bytes=2-4', If_Range='"x"')
    assert response.status == 206
