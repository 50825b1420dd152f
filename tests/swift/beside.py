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

import contextlib
import re
import time

from tests.swift import caches
from tests.swift import processes

_READ = re.compile(rb'READV \d+ of \d+ entries')
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
    """How many requests of the filter the object servers have answered.

    Without their filter, they log that they refuse them.
    """
    return sum(len(_READ.findall(swift.layout.log(name).read_bytes()))
               for name in processes.object_servers(swift))


def settled_reads(swift, seconds=1):
    """The same, when those that have begun are over or wait for clients.

    The kernel may take more for a client than a test has, and a read is logged
    when it ends.

    :param seconds: for how long there has to be no other
    """
    found, before = reads(swift), None
    while found != before:
        time.sleep(seconds)
        found, before = reads(swift), found
    return found


@contextlib.contextmanager
def answered_here(swift, here=True):
    """What is asked for in between is answered by the filter, or all is not.

    :param here: whether it is the filter, or None if either may be
    """
    before = None if here is None else settled_reads(swift, 0.2)
    yield
    if here:
        caches.until(lambda: reads(swift) > before)
    elif here is not None:
        assert settled_reads(swift, 0.2) == before


def same(ours, stock, path, header, here=None, **options):
    """Both answers, which have to be alike.

    :param here: whether the filter has to have answered, or has not to
    """
    expected = comparable(stock.request(
        'GET', path, Range=header, **options))
    with answered_here(ours.swift, here):
        found = comparable(ours.request('GET', path, Range=header, **options))
    assert found == expected
    return found
