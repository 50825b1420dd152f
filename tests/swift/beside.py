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

"""GETs of several ranges, beside those of a proxy without the filters."""

import re
import time

# Of the request, and not of the object.
_OF_REQUEST = ('x-trans-id', 'x-openstack-request-id', 'date')


def comparable(response):
    """A response without what differs between any two."""
    headers = {name: value for name, value in response.headers.items()
               if name not in _OF_REQUEST}
    body = response.body
    begin = re.match(rb'--([0-9a-f]{32})\r\n', body)
    if begin:
        body = body.replace(begin[1], b'BOUNDARY')
        headers['content-type'] = headers['content-type'].replace(
            begin[1].decode(), 'BOUNDARY')
    return response.status, headers, body


def reads(swift):
    """How many requests the object servers have had from the filter."""
    return sum(swift.layout.log(name).read_text(errors='replace').count(
        'READV ') for name in swift.names() if name.startswith('object'))


def settled_reads(swift):
    """The same, when those that have begun are over or wait for clients.

    The kernel may take more for a client than a test has, and a read is logged
    when it ends.
    """
    found, before = reads(swift), None
    while found != before:
        time.sleep(1)
        found, before = reads(swift), found
    return found


def same(ours, stock, path, header, here=None, **options):
    """Both answers, which have to be alike.

    :param here: whether the filter has to have answered, or has not to
    """
    before = here is not None and reads(ours.swift)
    expected = comparable(stock.request(
        'GET', path, Range=header, **options))
    found = comparable(ours.request('GET', path, Range=header, **options))
    assert found == expected
    if here is not None:
        assert (reads(ours.swift) > before) == here
    return found
