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


"""Servers get GPUs that NVLink joins, through the public APIs of a cloud."""

import concurrent.futures

import openstack.exceptions
import pytest

from cloud import core
from cloud import gpus
from cloud.tenant import PCIE
from cloud.tenant import SXM
from tests.functional import conftest


def nvlink(tenant, count, alias=SXM):
    """The flavor of that many joined GPUs."""
    return tenant.flavor(
        f'{alias}x{count}', alias, count, gpu_topology='nvlink')


def boot_all(tenant, *counts):
    """Boot servers one after the other."""
    return [tenant.boot(f'x{count}', nvlink(tenant, count))
            for count in counts]


def assert_joined(tenant, servers):
    """All servers run, on devices that fit, by Nova and placement alike."""
    found = tenant.placed(*servers)
    assert [(item.status, item.joined) for item in found] == (
        [('ACTIVE', True)] * len(servers)), found
    assert [item.addresses for item in found] == [
        item.claimed for item in found]
    taken = [(item.host, address)
             for item in found for address in item.addresses]
    assert len(taken) == len(set(taken))
    return found


def assert_refused(server):
    assert server.status == 'ERROR', server.compute_host
    assert 'No valid host was found' in server.fault['message']


def assert_nothing_leaked(cloud, servers):
    """Nova and placement agree on who has what, and nobody else has any."""
    held = gpus.devices(cloud)
    assert held == gpus.claims(cloud)
    assert set(held) == {
        server.id for server in servers if server.status == 'ACTIVE'}


@pytest.mark.parametrize('count', [1, 2, 4, 8])
def test_boards_are_filled_to_the_last_gpu(
        cloud, tenant, scheduler_log, count):
    servers = boot_all(tenant, *[count] * (16 // count))
    found = assert_joined(tenant, servers)
    assert {item.host for item in found} == {'hgx-1', 'hgx-2'}
    assert all(item.partition is not None for item in found)
    extra = boot_all(tenant, count)
    assert_refused(extra[0])
    assert ('0 of 1 hosts (1 no topology tags: untagged-1)'
            in scheduler_log.text)
    assert_nothing_leaked(cloud, servers)


def test_bridge_pairs(tenant):
    flavor = nvlink(tenant, 2, PCIE)
    found = assert_joined(
        tenant, [tenant.boot(f'pair-{i}', flavor) for i in range(2)])
    assert {item.addresses for item in found} == {
        ('0000:17:00.0', '0000:b2:00.0'), ('0000:18:00.0', '0000:b1:00.0')}


def test_single_gpus_do_not_break_a_quad(tenant):
    """A pair and two singles share a quad; a quad and a board still fit."""
    found = assert_joined(tenant, boot_all(tenant, 1, 2, 1, 4, 8))
    assert len({item.host for item in found[:4]}) == 1


def test_a_mix_fills_the_boards_whatever_the_order(tenant):
    assert_joined(tenant, boot_all(tenant, 2, 1, 4, 1, 8))


def test_what_is_freed_is_whole_again(tenant):
    servers = boot_all(tenant, *[2] * 8)
    assert_joined(tenant, servers)
    mine = [item for item in zip(tenant.placed(*servers), servers)
            if item[0].host == 'hgx-1']
    tenant.delete(*(server for _, server in mine))
    found = assert_joined(tenant, boot_all(tenant, 8))
    assert found[0].host == 'hgx-1'


def test_multi_create(tenant):
    """One request for four pairs, as the API's min_count."""
    tenant.create('pair', nvlink(tenant, 2), min_count=4, max_count=4)
    servers = [tenant.settled(server)
               for server in tenant.compute.servers(name='pair')]
    assert len(servers) == 4
    found = assert_joined(tenant, servers)
    assert len({item.host for item in found}) == 1


def test_multi_create_that_does_not_fit_leaves_nothing(cloud, tenant):
    servers = boot_all(tenant, 8)
    tenant.create('board', nvlink(tenant, 8), min_count=2, max_count=2)
    many = [tenant.settled(server)
            for server in tenant.compute.servers(name='board')]
    assert [server.status for server in many] == ['ERROR', 'ERROR']
    assert_nothing_leaked(cloud, servers)


def test_race_for_the_last_partition(cloud, tenant):
    """Of two requests at once, one gets it and the other is told so."""
    servers = boot_all(tenant, 8, 4)
    flavor = nvlink(tenant, 4)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        rivals = list(pool.map(
            lambda i: tenant.boot(f'rival-{i}', flavor), range(2)))
    won = [server for server in rivals if server.status == 'ACTIVE']
    assert len(won) == 1
    assert_joined(tenant, servers + won)
    assert_nothing_leaked(cloud, servers + won)


def test_host_without_tags(cloud, tenant):
    """It serves who does not insist, and nobody who does."""
    assert_joined(tenant, boot_all(tenant, 8, 8))
    assert_refused(boot_all(tenant, 1)[0])
    preferred = tenant.flavor(
        'preferred', SXM, 2, gpu_topology='nvlink',
        gpu_topology_policy='preferred')
    anything = tenant.flavor('any', SXM, 2, gpu_topology='any')
    for flavor in (preferred, anything):
        server = tenant.boot('easy', flavor)
        assert (server.status, server.compute_host) == (
            'ACTIVE', 'untagged-1')


def test_joined_gpus_go_before_a_host_without_tags(tenant):
    preferred = tenant.flavor(
        'preferred', SXM, 2, gpu_topology='nvlink',
        gpu_topology_policy='preferred')
    assert_joined(tenant, [tenant.boot('pair', preferred)])


def test_flavor_without_our_extra_specs(cloud, tenant, scheduler_log):
    """Stock scheduling: it gets GPUs, and uses every one there is."""
    flavor = tenant.flavor('stock', SXM, 4)
    servers = [tenant.boot(f'stock-{i}', flavor) for i in range(6)]
    assert {server.status for server in servers} == {'ACTIVE'}
    assert_nothing_leaked(cloud, servers)
    assert 'GPU topology' not in scheduler_log.text


def test_guest_numa_topology(tenant):
    """NUMATopologyFilter, after ours, still finds what it needs."""
    flavor = nvlink(tenant, 4)
    numa = tenant.flavor('numa', SXM, 4, gpu_topology='nvlink')
    tenant.compute.create_flavor_extra_specs(numa, {'hw:numa_nodes': '1'})
    servers = [tenant.boot('numa-1', numa), tenant.boot('plain', flavor),
               tenant.boot('numa-2', numa)]
    for item in assert_joined(tenant, servers):
        assert item.partition in (1, 2)


def test_more_gpus_than_any_board_has(cloud, tenant):
    assert_refused(tenant.boot('x9', nvlink(tenant, 9)))
    assert_joined(tenant, boot_all(tenant, 2))


def test_alias_that_does_not_exist(tenant):
    flavor = tenant.flavor('no-alias', 'h900', 2, gpu_topology='nvlink')
    with pytest.raises(openstack.exceptions.BadRequestException,
                       match='h900'):
        tenant.create('none', flavor)
    assert_joined(tenant, boot_all(tenant, 2))


@pytest.mark.parametrize('name, value, text', [
    ('gpu_topology', 'nvlnk', 'is not one of: nvlink, pcie, numa, any'),
    ('gpu_topology_policy', 'yes', 'is not one of: required, preferred'),
    ('gpu_topolgy', 'nvlink', 'does not appear to be a valid extra spec')])
def test_typo_in_an_extra_spec(tenant, name, value, text):
    with pytest.raises(openstack.exceptions.BadRequestException, match=text):
        tenant.flavor('typo', SXM, 2, **{name: value})
    assert_joined(tenant, boot_all(tenant, 2))


def test_extra_specs_that_only_fail_together(tenant, scheduler_log):
    """Nova looks at one extra spec at a time; the filter sees them all."""
    flavor = tenant.flavor('alone', SXM, 2, gpu_topology_policy='required')
    assert_refused(tenant.boot('alone', flavor))
    assert ('ai_factory:gpu_topology_policy is set without '
            'ai_factory:gpu_topology') in scheduler_log.text


@pytest.fixture(scope='module')
def tagged(cloud):
    """Give untagged-1 a tag of one's own; in the end it has none again."""
    def tag(text):
        def edit(lines):
            return [line.replace(
                '"ai_factory_gpu": "v1 ',
                f'"ai_factory_gpu": "{text}", "was": "') for line in lines]
        cloud.configure_compute('untagged-1', core.Compute('hgx-h100', edit))
    yield tag
    cloud.configure_compute('untagged-1', conftest.COMPUTES['untagged-1'])


@pytest.mark.parametrize('tag, problem', [
    ('v1 partitions=2:four', 'is not a number'),
    ('v9 partitions=2:4', "version 'v9' is not known"),
    ('v1 partitions=2:2', 'more than 2 devices are members'),
])
def test_wrong_tags(cloud, tenant, tagged, scheduler_log, tag, problem):
    """The host is as one without topology, and the log says why."""
    tagged(tag)
    assert_joined(tenant, boot_all(tenant, 8, 8))
    assert_refused(boot_all(tenant, 2)[0])
    log = scheduler_log.text
    assert problem in log
    assert log.count('Host untagged-1 is treated as one without') == 1
    stock = tenant.boot('stock', tenant.flavor('stock', SXM, 4))
    assert (stock.status, stock.compute_host) == ('ACTIVE', 'untagged-1')
