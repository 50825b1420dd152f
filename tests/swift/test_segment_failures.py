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

"""Servers and disks that fail while large objects are read by segments."""

import os

import pytest

from tests.swift import api
from tests.swift import large
from tests.swift import processes
from tests.swift import test_failures

KIB = 1024

pytestmark = pytest.mark.usefixtures('restored')


@pytest.mark.parametrize('victim', test_failures.SERVERS)
def test_killed_in_mid_stream(swift, tester, container, victim):
    bodies = [os.urandom(1024 * KIB) for _ in range(16)]
    many = {f'o{at}': large.upload(
        tester, container, f'o{at}', bodies[at:] + bodies[:at])
        for at in (0, 5, 10)}
    wanted = test_failures.large_batch(many)
    tester.batch(wanted[:3], container)
    with tester.begun_batch(wanted, container) as rest:
        swift.stop(victim, seconds=0)
        test_failures.check(many, wanted, api.decode(rest(), len(wanted)))


def test_a_device_that_is_not_mounted(swift, tester, container):
    """It is found out on the way, for manifests and for segments."""
    blobs = {f'o{n}': large.upload(
        tester, container, f'o{n}', large.random_bodies()) for n in range(8)}
    wanted = [{'object': name, 'ranges': [item]}
              for name in blobs
              for item in large.some_ranges(sum(large.SIZES), 4)]
    device = next(iter(sorted(swift.devices('object-1').iterdir())))
    device.rename(device.with_name('gone'))
    try:
        large.check(blobs, wanted, tester.batch(wanted, container))
    finally:
        device.with_name('gone').rename(device)


def test_servers_without_the_filter(swift, tester, container):
    blob = large.upload(tester, container, 'o', large.random_bodies())
    wanted = [{'object': 'o', 'ranges': [item]}
              for item in large.some_ranges(len(blob), 20)]
    tester.batch(wanted, container)
    for count in (1, 3):
        swift.settings.without_filter = test_failures.SERVERS[:count]
        processes.restart(swift, *test_failures.SERVERS[:count])
        large.check({'o': blob}, wanted, tester.batch(wanted, container))
