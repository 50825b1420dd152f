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


"""Jobs of several servers stay in one leaf, through the public APIs.

Leaf 1 has two hosts of eight GPUs, leaf 2 has one, and pcie-1 has no path.
"""

import openstack.exceptions
import pytest

from cloud.tenant import PCIE
from cloud.tenant import SXM

LEAVES = {'leaf1': ['hgx-1', 'hgx-2'], 'leaf2': ['untagged-1']}


@pytest.fixture(scope='module', autouse=True)
def leaves(cloud):
    """An aggregate for each leaf, while the tests of this module run."""
    compute = cloud.connection().compute
    made = []
    try:
        for leaf, hosts in LEAVES.items():
            aggregate = compute.create_aggregate(name=leaf)
            made.append((aggregate, hosts))
            compute.set_aggregate_metadata(
                aggregate, {'ai_factory:fabric_path': f'spine1/{leaf}'})
            for host in hosts:
                compute.add_host_to_aggregate(aggregate, host)
        yield
    finally:
        for aggregate, hosts in made:
            known = compute.get_aggregate(aggregate).hosts or []
            for host in known:
                compute.remove_host_from_aggregate(aggregate, host)
            compute.delete_aggregate(aggregate)


@pytest.fixture
def group(tenant):
    """Makes server groups, which are gone after the test."""
    made = []

    def make(policy):
        found = tenant.compute.create_server_group(
            name=f'job-{len(made)}', policy=policy)
        made.append(found)
        return {'scheduler_hints': {'group': found.id}}
    yield make
    tenant.clear()
    for item in made:
        tenant.compute.delete_server_group(item)


def flavor(tenant, count, alias=SXM, **extra_specs):
    """A flavor of that many GPUs, joined or not, and near each other."""
    extra_specs = {
        'fabric_locality': 'leaf', 'gpu_topology': 'any', **extra_specs}
    name = '-'.join([alias, str(count), *extra_specs.values()])
    return tenant.flavor(f'fabric-{name}', alias, count, **extra_specs)


def preferred(tenant, count):
    return flavor(tenant, count, fabric_locality_policy='preferred')


def boot(tenant, count, flavor_id, name='job', **options):
    """Boot that many servers with one request."""
    tenant.create(name, flavor_id, min_count=count, max_count=count,
                  **options)
    servers = [tenant.settled(server)
               for server in tenant.compute.servers(name=f'^{name}')]
    assert len(servers) == count
    return servers


def hosts(servers):
    """The hosts of servers that all run, sorted."""
    assert {server.status for server in servers} == {'ACTIVE'}, [
        server.fault for server in servers]
    return sorted(server.compute_host for server in servers)


def assert_refused(servers):
    assert {server.status for server in servers} == {'ERROR'}, [
        server.compute_host for server in servers]
    for server in servers:
        assert 'No valid host was found' in server.fault['message']


@pytest.mark.parametrize('count, leaf', [(2, 'leaf2'), (3, 'leaf1')])
def test_fullest_leaf_that_fits(tenant, count, leaf):
    """Halves of boards: leaf 1 has four of them, leaf 2 has two."""
    found = hosts(boot(tenant, count, flavor(tenant, 4)))
    assert set(found) <= set(LEAVES[leaf])


def test_multi_create_stays_in_one_leaf(tenant, scheduler_log):
    assert hosts(boot(tenant, 2, flavor(tenant, 8))) == LEAVES['leaf1']
    assert 'leaf (required), 2 to place, 0 placed' in scheduler_log.text
    assert 'block spine1/leaf1 has room for 2' in scheduler_log.text


@pytest.mark.parametrize('policy', ['anti-affinity', 'soft-anti-affinity'])
def test_group_in_one_request(tenant, group, policy):
    servers = boot(tenant, 2, flavor(tenant, 8), **group(policy))
    assert hosts(servers) == LEAVES['leaf1']


def test_group_one_after_the_other(tenant, group, scheduler_log):
    """The first fills its host, of which the scheduler then sees nothing."""
    other = tenant.boot('other', tenant.flavor('fabric-other', SXM, 8),
                        availability_zone='nova:untagged-1')
    assert hosts([other]) == ['untagged-1']
    options = group('anti-affinity')
    whole = flavor(tenant, 8)
    servers = [tenant.boot('one', whole, **options)]
    # There is room in leaf 2 again, but not for this group.
    tenant.delete(other)
    servers.append(tenant.boot('two', whole, **options))
    assert hosts(servers) == LEAVES['leaf1']
    assert '1 to place, 1 placed' in scheduler_log.text
    assert_refused([tenant.boot('three', whole, **options)])
    assert ('no block will do, the best is spine1/leaf1 with room for 0 and '
            '2 placed there') in scheduler_log.text


def test_gpus_that_are_joined_and_servers_that_are_near(tenant):
    """Both filters: untagged-1 has no GPUs that are known to be joined."""
    servers = boot(
        tenant, 4, flavor(tenant, 4, gpu_topology='nvlink'))
    assert set(hosts(servers)) == set(LEAVES['leaf1'])
    assert all(item.joined for item in tenant.placed(*servers))


@pytest.mark.parametrize('policy', [None, 'anti-affinity'])
def test_what_does_not_fit_is_refused(tenant, group, scheduler_log, policy):
    options = group(policy) if policy else {}
    assert_refused(boot(tenant, 3, flavor(tenant, 8), **options))
    log = scheduler_log.text
    assert '0 of 3 hosts (3 in blocks without room for all)' in log
    assert 'the best is spine1/leaf1 with room for 2' in log
    # Nothing is left behind.
    assert len(hosts(boot(tenant, 3, preferred(tenant, 8), 'all'))) == 3


def test_preferred_spills(tenant):
    found = hosts(boot(tenant, 3, preferred(tenant, 8)))
    assert found == ['hgx-1', 'hgx-2', 'untagged-1']


def test_preferred_stays_together_where_it_can(tenant):
    """Halves of boards, against GPU packing and whatever else weighs."""
    assert set(hosts(boot(tenant, 2, preferred(tenant, 4)))) == {'untagged-1'}
    assert set(hosts(boot(tenant, 4, preferred(tenant, 4), 'more'))) == set(
        LEAVES['leaf1'])


def test_host_without_a_path(tenant, scheduler_log):
    assert_refused(boot(tenant, 2, flavor(tenant, 1, PCIE)))
    assert '0 of 1 hosts (1 no fabric path)' in scheduler_log.text
    assert hosts([tenant.boot('alone', flavor(tenant, 1, PCIE))]) == [
        'pcie-1']


def test_typo_in_an_extra_spec(tenant):
    with pytest.raises(openstack.exceptions.BadRequestException,
                       match='is not one of: block, leaf, clique'):
        flavor(tenant, 1, fabric_locality='lief')
