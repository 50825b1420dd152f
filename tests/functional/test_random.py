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


"""Random work on the cloud: whatever the order, nothing goes wrong."""

import concurrent.futures
import random
import uuid

from cloud import gpus
from tests.functional import test_scheduling

SIZES = {1: 5, 2: 4, 4: 2, 8: 1}


def test_random_boots_and_deletes(cloud, tenant, seed):
    """100 operations a seed, up to four at once.

    No server has GPUs that are not joined, none is stuck, Nova and placement
    agree, and a request is refused only if it does not fit or lost a race.
    """
    rng = random.Random(seed)
    flavors = {count: test_scheduling.nvlink(tenant, count)
               for count in SIZES}
    running, done = [], 0

    def boot(count):
        return tenant.boot(f'random-x{count}', flavors[count])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        while done < 100:
            burst = min(rng.randint(1, 4), 100 - done)
            done += burst
            leave = [running.pop(rng.randrange(len(running)))
                     for _ in range(burst)
                     if running and rng.random() < len(running) / 12]
            counts = rng.choices(
                list(SIZES), SIZES.values(), k=burst - len(leave))
            started = [pool.submit(boot, count) for count in counts]
            if leave:
                tenant.delete(*leave)
            servers = [item.result() for item in started]
            refused = [s for s in servers if s.status != 'ACTIVE']
            running += [s for s in servers if s.status == 'ACTIVE']
            for server in refused:
                test_scheduling.assert_refused(server)
            tenant.delete(*refused)
            if burst == 1 and counts and refused:
                assert not fits(cloud, running, counts[0])
            test_scheduling.assert_joined(tenant, running)
            test_scheduling.assert_nothing_leaked(cloud, running)
    assert_placement_api_agrees(cloud)


def assert_placement_api_agrees(cloud):
    """The usages that operators are shown are those of the servers."""
    placement = cloud.connection().placement
    held = {f'{host}_{address.upper()}'
            for devices in gpus.devices(cloud).values()
            for host, address in devices}
    for provider in placement.resource_providers():
        if provider.parent_provider_id is not None:
            body = placement.get(
                f'/resource_providers/{provider.id}/usages').json()
            used = sum(body['usages'].values())
            assert used == (provider.name in held), (provider.name, used)


def fits(cloud, running, count):
    """Whether a free partition of that size is left on any tagged host."""
    held = set().union(*gpus.devices(cloud).values(), set())
    for host in ('hgx-1', 'hgx-2'):
        for partition in gpus.board(cloud, host).partitions:
            if len(partition.members) == count and not any(
                    (host, address) in held
                    for address in partition.members):
                return True
    return False


def test_one_device_is_given_once(cloud, tenant):
    """Placement itself, asked by four at once for all GPUs of a board."""
    connection = cloud.connection()
    providers = {
        provider.id: {'resources': {'CUSTOM_GPU_H100_SXM5_80GB': 1}}
        for provider in connection.placement.resource_providers()
        if provider.name.startswith('hgx-1_')}

    def claim(_):
        consumer = str(uuid.uuid4())
        response = connection.placement.put(
            f'/allocations/{consumer}', microversion='1.38', json={
                'allocations': providers, 'consumer_generation': None,
                'consumer_type': 'TEST', 'user_id': 'test',
                'project_id': 'test'})
        return consumer, response.status_code

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            answers = list(pool.map(claim, range(4)))
            won = [name for name, status in answers if status == 204]
            for consumer in won:
                connection.placement.delete(f'/allocations/{consumer}')
            assert len(won) == 1, answers


def test_twenty_pairs_at_once(cloud, tenant):
    """More than there are: each of the eight pairs is used, none twice."""
    flavor = test_scheduling.nvlink(tenant, 2)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        servers = list(pool.map(
            lambda i: tenant.boot(f'crowd-{i}', flavor), range(20)))
    won = [server for server in servers if server.status == 'ACTIVE']
    assert 1 <= len(won) <= 8
    test_scheduling.assert_joined(tenant, won)
    test_scheduling.assert_nothing_leaked(cloud, servers)
    # What the losers left is there for who comes next.
    for i in range(8 - len(won)):
        won.append(tenant.boot(f'late-{i}', flavor))
    test_scheduling.assert_joined(tenant, won)
    assert len(won) == 8
