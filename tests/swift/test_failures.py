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

"""Servers that die, disks that lie, clients that go away."""

import http.client
import os
import shutil
import signal
import threading
import time

import pytest

from tests.swift import api
from tests.swift import disks
from tests.swift import processes

KIB = 1024
SERVERS = ('object-0', 'object-1', 'object-2')

pytestmark = pytest.mark.usefixtures('restored')


@pytest.fixture
def many(tester, container):
    """Sixteen objects of two megabytes.

    :returns: dict of name to bytes
    """
    found = {f'o{n}': os.urandom(2048 * KIB + n) for n in range(16)}
    for name, body in found.items():
        tester.put(f'/{container}/{name}', body)
    return found


def large_batch(many, count=256, size=256 * KIB):
    """More than what fits into the buffers of the sockets."""
    names = list(many)
    return [{'object': names[n % len(names)],
             'ranges': [[n * 4099, n * 4099 + size - 1]]}
            for n in range(count)]


def check(many, wanted, found):
    assert len(found) == len(wanted)
    for item, got in zip(wanted, found):
        (first, last), = item['ranges']
        assert got.status == 206, got
        assert got.data == [many[item['object']][first:last + 1]]


def test_a_container_of_which_nothing_is_known(swift, tester, container):
    """Swift cannot tell where its objects are; others are read."""
    tester.put(f'/{container}/o', b'known')
    wanted = [{'container': name, 'object': 'o'}
              for name in (f'{container}-none', container)]
    tester.batch(wanted[1:])
    swift.stop('container', seconds=0)
    unknown, known = tester.batch(wanted)
    assert unknown.status == 503
    assert unknown.meta['reason'] == 'the container is not available'
    assert known.data == [b'known']


@pytest.mark.parametrize('victim', SERVERS)
def test_killed_in_mid_stream(swift, tester, container, many, victim):
    wanted = large_batch(many)
    with tester.begun_batch(wanted, container) as rest:
        swift.stop(victim, seconds=0)
        check(many, wanted, api.decode(rest(), len(wanted)))


def test_two_of_three_killed_in_mid_stream(swift, tester, container, many):
    wanted = large_batch(many)
    with tester.begun_batch(wanted, container) as rest:
        swift.stop('object-0', 'object-2', seconds=0)
        check(many, wanted, api.decode(rest(), len(wanted)))


def test_hangs_in_mid_stream(swift, tester, container, many):
    wanted = large_batch(many)
    with tester.begun_batch(wanted, container) as rest:
        os.kill(swift.pid('object-1'), signal.SIGSTOP)
        check(many, wanted, api.decode(rest(), len(wanted)))


def test_all_killed_in_mid_stream(swift, tester, container, many):
    """What cannot be had is told, entry by entry."""
    wanted = large_batch(many)
    with tester.begun_batch(wanted, container) as rest:
        swift.stop(*SERVERS, seconds=0)
        found = api.decode(rest(), len(wanted))
    whole = [(item, got) for item, got in zip(wanted, found)
             if got.status == 206 and not got.aborted]
    assert 0 < len(whole) < len(wanted)
    check(many, [item for item, _ in whole], [got for _, got in whole])
    assert {got.aborted or got.status for got in found} <= {206, 503}


def test_killed_and_started_while_batches_are_read(
        swift, tester, container, many):
    wanted = large_batch(many, 64, 64 * KIB)
    over, failures, rounds = threading.Event(), [], []

    def read():
        while not over.is_set():
            try:
                check(many, wanted, tester.batch(wanted, container))
                rounds.append(1)
            except BaseException as exc:
                failures.append(exc)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for victim in SERVERS:
        time.sleep(0.3)
        processes.restart(swift, victim)
    over.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(rounds) > 3


def test_no_filter_on_any(swift, tester, container, many):
    swift.settings.without_filter = (0, 1, 2)
    processes.restart(swift, *SERVERS)
    wanted = large_batch(many, 40, 64 * KIB)
    check(many, wanted, tester.batch(wanted, container))


@pytest.mark.parametrize('number', range(3))
def test_no_filter_on_one(swift, tester, container, many, number):
    swift.settings.without_filter = (number,)
    processes.restart(swift, swift.object_server(number))
    wanted = large_batch(many, 130, 64 * KIB)
    check(many, wanted, tester.batch(wanted, container))


def test_missing_replicas(swift, tester, container, blob):
    tester.put(f'/{container}/o', blob)
    replicas = disks.directories(swift, container, 'o')
    assert len(replicas) == 3
    for path in list(replicas.values())[:2]:
        shutil.rmtree(path)
    for _ in range(10):
        got, = tester.batch(
            [{'object': 'o', 'ranges': [[7, 9000]]}], container)
        assert got.data == [blob[7:9001]]


def test_handoff(swift, tester, container, blob):
    """The only replica is where it does not belong."""
    tester.put(f'/{container}/o', blob)
    replicas = disks.directories(swift, container, 'o')
    (server, device), path = sorted(replicas.items())[0]
    other = 'd1' if device == 'd0' else 'd0'
    copy = swift.devices(server) / other / path.relative_to(
        swift.devices(server) / device)
    assert (server, other) not in replicas
    shutil.copytree(path, copy.parent.parent / 'copy' / path.name)
    copy.parent.mkdir(parents=True, exist_ok=True)
    os.rename(copy.parent.parent / 'copy' / path.name, copy)
    _copy_attributes(path, copy)
    for path in replicas.values():
        shutil.rmtree(path)
    assert tester.get(f'/{container}/o', (7, 9000)).body == blob[7:9001]
    got, = tester.batch([{'object': 'o', 'ranges': [[7, 9000]]}], container)
    assert got.data == [blob[7:9001]]


def _copy_attributes(source, target):
    for path in source.iterdir():
        for name in os.listxattr(path):
            os.setxattr(target / path.name, name, os.getxattr(path, name))


def test_cut_file(swift, tester, container, blob):
    tester.put(f'/{container}/o', blob)
    replicas = list(disks.directories(swift, container, 'o').values())
    for path in replicas[:2]:
        file, = path.glob('*.data')
        os.truncate(file, 1000)
    for _ in range(10):
        got, = tester.batch(
            [{'object': 'o', 'ranges': [[500, 90000]]}], container)
        assert got.data == [blob[500:90001]]


def test_file_is_cut_in_mid_stream(swift, tester, container):
    """The rest is read with a GET, from the right byte on."""
    body = os.urandom(48 * 1024 * KIB)
    tester.put(f'/{container}/o', body)
    wanted = [{'object': 'o', 'ranges': [[5, len(body) - 9]]}]
    with tester.begun_batch(wanted, container) as rest:
        replicas = {**disks.read_replicas(swift, container, 'o'),
                    **disks.directories(swift, container, 'o')}
        # The one that is being read, and another.
        for path in list(replicas.values())[:2]:
            file, = path.glob('*.data')
            os.truncate(file, 30 * 1024 * KIB)
        got, = api.decode(rest(), 1)
    assert got.data == [body[5:len(body) - 8]]


def test_changed_file_in_mid_stream(swift, tester, container):
    """What is wrong is not called right."""
    body = os.urandom(32 * 1024 * KIB)
    tester.put(f'/{container}/o', body)
    for path in disks.directories(swift, container, 'o').values():
        file, = path.glob('*.data')
        with open(file, 'r+b') as stream:
            stream.seek(300000)
            stream.write(b'wrong')
    got, = tester.batch([{'object': 'o'}], container)
    assert got.aborted == 503
    assert tester.batch([{'object': 'o'}], container)[0].status in (200, 404)


def test_changed_file_is_noticed_when_read_whole(
        swift, tester, container, blob):
    body = blob[:500 * KIB]
    tester.put(f'/{container}/o', body)
    replicas = list(disks.directories(swift, container, 'o').values())
    for path in replicas[:2]:
        file, = path.glob('*.data')
        with open(file, 'r+b') as stream:
            stream.seek(300000)
            stream.write(b'wrong')
    for _ in range(12):
        got, = tester.batch([{'object': 'o'}], container)
        # The last word has an ordinary GET, which checks as it sends.
        assert got.data == [body] or b'wrong' in got.data[0]
    # By then DiskFile has put both into quarantine.
    got, = tester.batch([{'object': 'o'}], container)
    assert got.data == [body]
    assert len(list(swift.layout.root.glob(
        'devices/object-*/*/quarantined/objects/*'))) >= 2


def test_device_that_is_gone(swift, tester, container, many):
    device = swift.devices('object-1') / 'd0'
    os.rename(device, device.with_name('away'))
    try:
        wanted = large_batch(many, 200, 32 * KIB)
        for _ in range(3):
            check(many, wanted, tester.batch(wanted, container))
    finally:
        shutil.rmtree(device, ignore_errors=True)
        os.rename(device.with_name('away'), device)


def test_stale_replica(swift, tester, container):
    """A replica that has missed a DELETE or PUT gives whole versions."""
    tester.put(f'/{container}/o', b'a' * 100000)
    tester.put(f'/{container}/p', b'a' * 100000)
    swift.stop('object-0', seconds=0)
    tester.delete(f'/{container}/o')
    tester.put(f'/{container}/p', b'b' * 100000)
    swift.start('object-0')
    processes.forget_errors()
    halves = [[0, 49999], [50000, None]]
    for _ in range(10):
        found = tester.batch(
            [{'object': name, 'ranges': [half]}
             for half in halves for name in ('o', 'p')], container)
        for first, second in (found[::2], found[1::2]):
            if first.status == second.status == 206:
                assert first.data == second.data
                assert len(set(first.data[0])) == 1
        assert {got.status for got in found[::2]} <= {206, 404, 409}
        assert {got.status for got in found[1::2]} <= {206, 409}


def test_stale_replica_in_a_large_batch(swift, tester, container):
    """What is asked for before anything has come is of one version as well."""
    tester.put(f'/{container}/o', b'a' * 100)
    tester.put(f'/{container}/other', b'other')
    swift.stop('object-0', seconds=0)
    tester.put(f'/{container}/o', b'b' * 100)
    swift.start('object-0')
    processes.forget_errors()
    # The second half is asked for before the first "o" has come.
    wanted = [{'object': 'other'}] * 700
    for number in (400, 650):
        wanted[number] = {'object': 'o'}
    seen = set()
    for _ in range(12):
        found = tester.batch(wanted, container)
        first, second = found[400], found[650]
        assert first.status == 200
        assert second.data == first.data or second.status == 409
        seen.add((*first.data, second.status))
    assert len(seen) > 1  # Both versions, or one that was refused.


def test_overwritten_in_mid_stream(swift, tester, container):
    old, new = b'o' * 2048 * KIB, b'n' * 2048 * KIB
    tester.put(f'/{container}/o', old)
    wanted = [{'object': 'o', 'ranges': [[n, n + 256 * KIB - 1]]}
              for n in range(256)]
    with tester.begun_batch(wanted, container) as rest:
        tester.put(f'/{container}/o', new)
        swift.stop('object-0', seconds=0)
        found = api.decode(rest(), len(wanted))
    seen = {b''.join(got.data)[:1] for got in found if got.status == 206}
    assert seen == {b'o'}
    for got in found:
        if got.status == 206 and not got.aborted:
            assert got.data == [b'o' * 256 * KIB]
        else:
            assert (got.aborted or got.status) in (409, 412)


def test_clients_get_what_there_is(tester, container):
    """They do not wait for what takes long."""
    tester.put(f'/{container}/o', b'here')
    wanted = [{'object': 'o'}, *({'object': f'n{n}'} for n in range(400))]
    connection = tester.connect()
    connection.request(
        'POST', f'{tester.account}/{container}?batch-read=1',
        api.lines(wanted), {'X-Auth-Token': tester.token})
    response = connection.getresponse()
    first = response.read1()
    rest = response.read()
    connection.close()
    assert b'here' in first
    assert rest
    found = api.decode(first + rest, len(wanted))
    assert [got.status for got in found] == [200] + [404] * 400


def test_clients_that_go_away(swift, tester, container, many):
    wanted = large_batch(many)
    files = {name: len(os.listdir(f'/proc/{swift.pid(name)}/fd'))
             for name in ('proxy', *SERVERS)}
    for _ in range(80):  # More than may be answered at once.
        with tester.begun_batch(wanted, container):
            pass
    check(many, wanted, tester.batch(wanted, container))
    deadline = time.monotonic() + 20
    while True:
        now = {name: len(os.listdir(f'/proc/{swift.pid(name)}/fd'))
               for name in files}
        # Python closes some of them when it next collects its garbage.
        if all(now[name] <= files[name] + 30 for name in files):
            break
        assert time.monotonic() < deadline, (files, now)
        time.sleep(0.2)


def test_a_proxy_that_dies(swift, tester, container, many):
    """Its answer does not end as if it were whole."""
    with tester.begun_batch(large_batch(many), container) as rest:
        swift.stop('proxy', seconds=0)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            rest()
