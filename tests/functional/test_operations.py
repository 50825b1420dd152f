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


"""What operators have for the day after: moves, races, and the commands."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cloud import backing
from cloud import process
from cloud.tenant import SXM
from tests.functional import test_scheduling as scheduling


def run(cloud, command, *arguments, placement=True):
    """Run one of our commands with the configuration of the scheduler."""
    etc = cloud.layout.etc
    options = ['--config-file', str(etc('nova') / 'nova.conf')]
    if command == 'status' and placement:
        options += ['--placement-config',
                    str(etc('placement') / 'placement.conf')]
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m',
         f'ai_factory_plugins.cmd.{command}', *options, *arguments],
        capture_output=True, text=True, timeout=120)
    # What a log line has to say does not belong to the answer.
    return done.returncode, done.stdout or done.stderr


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_last_pairs_of_the_cloud(cloud, tenant):
    """Servers that race for the last pairs get them, all of them."""
    scheduling.boot_all(tenant, 8)
    flavor = scheduling.nvlink(tenant, 2)
    servers = [tenant.create(f'r{i}', flavor) for i in range(5)]
    servers = [tenant.settled(server) for server in servers]
    active = [server for server in servers if server.status == 'ACTIVE']
    assert len(active) == 4
    scheduling.assert_joined(tenant, active)


def test_moves_are_refused(cloud, tenant, scheduler_log):
    server, = scheduling.boot_all(tenant, 2)
    before = scheduling.assert_joined(tenant, [server])
    tenant.compute.migrate_server(server)
    wait_for(lambda: 'Refused a cold migration' in scheduler_log.text)
    wait_for(lambda: tenant.compute.get_server(server.id).task_state is None)
    assert scheduling.assert_joined(
        tenant, [tenant.compute.get_server(server.id)]) == before


def test_shelving_and_unshelving(cloud, tenant):
    server, = scheduling.boot_all(tenant, 4)
    tenant.compute.shelve_server(server)
    wait_for(lambda: tenant.compute.get_server(
        server.id).status == 'SHELVED_OFFLOADED')
    scheduling.boot_all(tenant, 2)
    tenant.compute.unshelve_server(server)
    wait_for(lambda: tenant.compute.get_server(server.id).status == 'ACTIVE')
    scheduling.assert_joined(tenant, [tenant.compute.get_server(server.id)])


def test_explanation(cloud, tenant):
    quad = scheduling.nvlink(tenant, 4)
    code, text = run(cloud, 'explain', quad)
    assert code == 0, text
    assert 'Hosts: hgx-1, hgx-2' in text
    scheduling.boot_all(tenant, 8, 8)
    code, text = run(cloud, 'explain', quad, '-f', 'json')
    assert code == 1, text
    found = json.loads(text)
    assert found['found'] == []
    stage, = (stage for stage in found['stages']
              if stage['name'] == 'GPUTopologyFilter')
    assert stage['reasons'] == {'no topology tags': ['untagged-1']}
    assert 'No valid host' in tenant.boot('x', quad).fault['message']
    code, text = run(cloud, 'explain', 'no-such-flavor')
    assert code == 2
    assert text == ('ai-factory-explain: Flavor no-such-flavor could not be '
                    'found.\n')


def test_upgrade_check(cloud, tenant):
    code, text = run(cloud, 'status', 'upgrade', 'check')
    # The one host without tags is a warning.
    assert code == 1, text
    assert text.count('Result: Success') == 7, text
    assert 'untagged-1' in text
    code, text = run(cloud, 'status', 'upgrade', 'check', placement=False)
    assert code == 1, text
    assert '/etc/placement/placement.conf' in text


@contextlib.contextmanager
def held(cloud, host):
    """A compute that does nothing meanwhile.

    It would claim in placement what its servers have and have not claimed,
    whenever it looks at its resources.
    """
    leader = process.group(cloud.layout, f'nova-compute-{host}')
    os.killpg(leader, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(leader, signal.SIGCONT)


@pytest.fixture
def stolen(cloud, tenant):
    """A server, one of whose claims placement has for another GPU."""
    server, = scheduling.boot_all(tenant, 2)
    with held(cloud, server.compute_host), backing.connect(
            cloud.layout, 'placement') as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                'SELECT a.id, a.resource_provider_id FROM allocations a '
                'JOIN resource_providers p ON p.id = a.resource_provider_id '
                'WHERE p.parent_provider_id IS NOT NULL '
                'AND a.consumer_id = %s LIMIT 1', (server.id,))
            (claim, provider), = cursor.fetchall()
            cursor.execute(
                'SELECT p.id FROM resource_providers p JOIN '
                'resource_providers o ON o.parent_provider_id = '
                'p.parent_provider_id WHERE o.id = %s AND p.id NOT IN '
                '(SELECT resource_provider_id FROM allocations) LIMIT 1',
                (provider,))
            (other,), = cursor.fetchall()
            move = ('UPDATE allocations SET resource_provider_id = %s '
                    'WHERE id = %s')
            cursor.execute(move, (other, claim))
            connection.commit()
            yield server
            cursor.execute(move, (provider, claim))
            connection.commit()


def test_servers_that_are_well(cloud, tenant):
    scheduling.boot_all(tenant, 1, 2, 4)
    tenant.boot('stock', tenant.flavor('stock2', SXM, 2))
    code, text = run(cloud, 'status', 'servers')
    assert code == 0, text


def test_servers_that_are_not(cloud, stolen):
    code, text = run(cloud, 'status', 'servers', '-f', 'json')
    assert code == 1, text
    found = json.loads(text)
    assert [item['server'] for item in found] == [stolen.id] * 2
    assert {item['problem'] for item in found} == {
        'claimed in placement, but the server does not have them',
        'the server has them, but has not claimed them in placement'}
    code, text = run(cloud, 'status', 'servers')
    assert code == 1
    assert 'shelve and unshelve the server' in text
