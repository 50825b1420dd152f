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

"""The headers of an object are those of a GET to the object server."""

import types

import pytest
from swift.common import swob

from ai_factory_plugins.swift import headers
from ai_factory_plugins.swift import known
from tests.swift import objects as helpers

TARGET = helpers.TARGET
_OF_ANSWER = {'Content-Length', 'X-Backend-Fragments'}


@pytest.fixture
def controller(tmp_path, monkeypatch):
    return helpers.controller(tmp_path, monkeypatch)


def request(controller, method, body=None, at=1.5, **more):
    more = {name.replace('_', '-'): value for name, value in more.items()}
    response = swob.Request.blank(
        '/d0/7/AUTH_a/c/o', {'REQUEST_METHOD': method}, body=body, headers={
            'X-Timestamp': f'{at:016.5f}',
            'X-Backend-Storage-Policy-Index': '0', **more}
    ).get_response(controller)
    assert response.is_success, response.status
    return response


def fake(disk_file, etag):
    """An object that is open, with its DiskFile or without."""
    return types.SimpleNamespace(
        _disk_file=disk_file, _descriptor=None, etag=etag)


def told(controller, opened):
    """The headers of an object that is open, when nothing is known of it."""
    return headers.Headers(
        controller, [TARGET], known.KnownObjects(9)).of(0, opened)


def check(controller):
    """Compare the headers of the object that is there."""
    response = request(controller, 'GET')
    expected = {name: value for name, value in response.headers.items()
                if name not in _OF_ANSWER}
    disk_file = helpers.disk_file(controller)
    etag = expected['Etag'] = expected['Etag'].strip('"')
    with disk_file.open():
        both = [told(controller, opened)
                for opened in (fake(disk_file, etag), fake(None, etag))]
    for found in both:
        assert dict(swob.HeaderKeyDict(found)) == expected
    assert told(controller, fake(None, 'another')) == {}
    return both[0]


def test_same_as_of_a_get(controller):
    request(controller, 'PUT', b'body', Content_Type='text/plain; a="b"',
            X_Object_Meta_Color='\xc3\xbc', X_Object_Sysmeta_S3api_Etag='x',
            Content_Disposition='inline', Content_Encoding='gzip',
            Cache_Control='no-store', X_Robots_Tag='none',
            X_Delete_At='9999999999', X_Static_Large_Object='')
    found = check(controller)
    assert found['Last-Modified'] == 'Thu, 01 Jan 1970 00:00:02 GMT'
    request(controller, 'POST', at=99, X_Object_Meta_Shape='round',
            Content_Type='x/y', X_Object_Transient_Sysmeta_T='u')
    found = check(controller)
    assert found['X-Object-Meta-Shape'] == 'round'
    assert 'X-Object-Meta-Color' not in found


def test_gone(controller):
    request(controller, 'PUT', b'body', Content_Type='x')
    swob.Request.blank('/d0/7/AUTH_a/c/o', {'REQUEST_METHOD': 'DELETE'},
                       headers={'X-Timestamp': '0000000009.00000'}
                       ).get_response(controller)
    assert told(controller, fake(None, 'etag')) == {}


def test_too_many(controller, monkeypatch):
    """They would not fit into a frame; nothing is told then."""
    request(controller, 'PUT', b'body', Content_Type='x')
    monkeypatch.setattr(headers, '_LIMIT', 100)
    disk_file = helpers.disk_file(controller)
    with disk_file.open():
        assert headers.of(controller, disk_file) == {}
