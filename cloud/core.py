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


"""The cloud as a whole: start it, look at it, stop it."""

import concurrent.futures
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import time
import typing

import openstack

from cloud import backing
from cloud import errors
from cloud import layout as layouts
from cloud import process
from cloud import service as service_module
from cloud import services

SECONDS_TO_START = 240
_SETTINGS = 'cloud.json'


@dataclasses.dataclass(frozen=True)
class Compute:
    """A compute host.

    :param board: name of its board, see
        :mod:`ai_factory_plugins.testing.boards`
    :param edit: called with the ``device_spec`` lines that the inventory
        tool wrote, returns those to use; for tests of hosts that are
        configured wrongly
    """

    board: str
    edit: typing.Callable | None = None


COMPUTES = {
    'hgx-1': Compute('hgx-h100'),
    'hgx-2': Compute('hgx-h100'),
    'pcie-1': Compute('pcie-bridge-pairs'),
}


class Cloud:
    """One cloud, running or not.

    :param root: state directory
    :param port_offset: added to all ports, so that clouds can run side by
        side; a cloud that runs knows its own
    :param computes: dict of host name to :class:`Compute`
    :param scheduler: ``stock`` or ``ai-factory``
    :param tell: called with a line of text when something has happened
    """

    def __init__(self, root, port_offset=None, computes=None,
                 scheduler=None, tell=lambda text: None):
        root = pathlib.Path(root).absolute()
        known = _settings(root)
        if port_offset is None:
            port_offset = known.get('port_offset', 0)
        self.layout = layouts.Layout(root, port_offset)
        self.computes = dict(computes or COMPUTES)
        self.scheduler = scheduler or known.get('scheduler', 'ai-factory')
        self.tell = tell

    # What it consists of

    def endpoints(self):
        """Name of the port, and the endpoint, of each service's API."""
        ports = {'nova': 'nova-api'}
        return [(ports.get(module.ENDPOINT[0], module.ENDPOINT[0]),
                 module.ENDPOINT)
                for module in services.MODULES if module.ENDPOINT]

    def services(self):
        """All services, in an order in which they can be started."""
        found = list(backing.services(self.layout))
        for module in services.MODULES:
            found.extend(module.services(self))
        return found

    @property
    def auth(self):
        """The variables with which a client logs in as admin."""
        return {
            'OS_AUTH_URL': self.layout.url('keystone') + '/v3',
            'OS_USERNAME': 'admin', 'OS_PASSWORD': layouts.PASSWORD,
            'OS_PROJECT_NAME': 'admin', 'OS_USER_DOMAIN_ID': 'default',
            'OS_PROJECT_DOMAIN_ID': 'default',
            'OS_REGION_NAME': layouts.REGION,
            'OS_IDENTITY_API_VERSION': '3',
        }

    def connection(self):
        """An :class:`openstack.connection.Connection` as admin."""
        # Nothing of the user's own clouds: the file named is not there.
        return openstack.connection.Connection(
            config=openstack.config.OpenStackConfig(
                config_files=[str(self.layout.root / 'no-clouds.yaml')],
                load_envvars=False,
            ).get_one(
                auth={'auth_url': self.auth['OS_AUTH_URL'],
                      'username': 'admin', 'password': layouts.PASSWORD,
                      'project_name': 'admin', 'user_domain_id': 'default',
                      'project_domain_id': 'default'},
                region_name=layouts.REGION, compute_api_version='2.100',
                placement_api_version='1.39'))

    # Start

    def up(self):
        """Start it, or what of it does not run.

        :raises CloudError: it does not start; the message says which part
            and shows the end of its log
        """
        backing.require_programs()
        running = self.running()
        if running and not self.unwell():
            self.tell('already up')
            return
        if running:
            self.tell('unwell: stopping what is left of it')
            self.down()
        self._require_ports()
        shutil.rmtree(self.layout.root / 'log', ignore_errors=True)
        self.configure()
        self._databases()
        self._remember()
        self._start(self.services(), relocate=True)
        self._image()
        self._wait_for_hosts()

    def configure(self):
        """Write all configuration files."""
        for module in services.MODULES:
            module.configure(self)

    def _remember(self):
        (self.layout.root / _SETTINGS).write_text(json.dumps(
            {'port_offset': self.layout.port_offset,
             'scheduler': self.scheduler}))

    def _require_ports(self):
        taken = [
            f'{self.layout.port(name)} ({name})' for name in layouts.PORTS
            if service_module.listens(self.layout.port(name))]
        if taken:
            raise errors.CloudError(
                'Something else listens on port ' + ', '.join(taken)
                + '. Stop it, or use another --port-offset.')

    def _databases(self):
        """Put the databases in place, from the cache if they are there."""
        data = self.layout.root / 'mariadb'
        if data.exists():
            return
        cached = layouts.cache_directory() / self._cache_key()
        if cached.exists():
            shutil.copytree(cached, data)
            self.tell('databases taken from the cache')
            return
        backing.install_database(self.layout)
        database = backing.services(self.layout)[:1]
        self._start(database)
        tasks = {}
        for module in services.MODULES:
            tasks.update(module.schema(self))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            running = {
                pool.submit(process.run, self.layout, name, *task): name
                for name, task in tasks.items()}
            for done in concurrent.futures.as_completed(running):
                done.result()
                self.tell(f'{running[done]} made')
        process.stop(self.layout, 'mariadb')
        temporary = cached.with_name(f'{cached.name}.{os.getpid()}')
        shutil.copytree(data, temporary, ignore=shutil.ignore_patterns(
            '*.sock', '*.pid'))
        try:
            temporary.rename(cached)
        except OSError:
            # Another cloud was quicker; what it has is as good.
            shutil.rmtree(temporary)

    def _cache_key(self):
        """What the databases depend on, as a name."""
        facts = [backing.version()]
        facts += sorted(
            f'{item.name}=={item.version}'
            for item in importlib.metadata.distributions())
        for name in ('bootstrap.py', 'nova_schema.py', 'services/__init__.py'):
            facts.append(pathlib.Path(__file__).with_name(
                name.split('/')[0]).joinpath(
                    *name.split('/')[1:]).read_text())
        return hashlib.sha256('\n'.join(facts).encode()).hexdigest()[:16]

    def _relocate(self):
        """Correct the addresses in databases that come from the cache."""
        with backing.connect(self.layout) as connection:
            with connection.cursor() as cursor:
                for port, (name, _, path) in self.endpoints():
                    cursor.execute(
                        'UPDATE keystone.endpoint SET url = %s WHERE '
                        'service_id IN (SELECT id FROM keystone.service '
                        "WHERE extra LIKE %s)",
                        (self.layout.url(port) + path, f'%"{name}"%'))
                for cell in ('cell0', 'cell1'):
                    cursor.execute(
                        'UPDATE nova_api.cell_mappings SET '
                        'database_connection = %s, transport_url = %s '
                        'WHERE name = %s', (
                            self.layout.database(f'nova_{cell}'),
                            self.layout.transport if cell == 'cell1'
                            else 'none:///', cell))

    def _start(self, wanted, relocate=False):
        """Start services as soon as what they need is ready."""
        waiting, starting, ready = list(wanted), {}, set()
        names = {item.name for item in wanted}
        deadline = time.monotonic() + SECONDS_TO_START
        while waiting or starting:
            for item in [w for w in waiting
                         if ready.issuperset(names.intersection(w.needs))]:
                waiting.remove(item)
                process.start(
                    self.layout, item.name, item.command, item.env)
                starting[item.name] = item
            for item in list(starting.values()):
                if process.pid(self.layout, item.name) is None:
                    raise self._died(item.name, 'ended while it started')
                if item.ready():
                    del starting[item.name]
                    if item.name == 'mariadb' and relocate:
                        self._relocate()
                    ready.add(item.name)
                    self.tell(f'{item.name} ready')
                elif time.monotonic() > deadline:
                    raise self._died(
                        item.name,
                        f'is not ready after {SECONDS_TO_START} s')
            time.sleep(0.2)

    def _died(self, name, how):
        log = self.layout.log(name)
        return errors.CloudError(
            f'{name} {how}; the end of {log}:\n{process.tail(log)}')

    def _image(self):
        connection = self.connection()
        if connection.image.find_image('tiny') is None:
            connection.image.create_image(
                'tiny', data=b'\0' * 1024, disk_format='raw',
                container_format='bare', visibility='public')

    def _wait_for_hosts(self):
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            problems = self._hosts_missing()
            if not problems:
                return
            if time.monotonic() > deadline:
                raise errors.CloudError('; '.join(problems))
            time.sleep(0.5)

    # Look

    def running(self):
        """Names of the services that run."""
        return [name for name in process.known(self.layout)
                if process.pid(self.layout, name) is not None]

    def status(self):
        """What each service is doing.

        :returns: dict of name to (pid or None, whether it does its work)
        """
        found = {}
        for item in self.services():
            pid = process.pid(self.layout, item.name)
            found[item.name] = (pid, pid is not None and _safely(item.ready))
        return found

    def unwell(self):
        """What does not work, as a list of sentences; empty if all does."""
        problems = [
            f'{name} ' + ('does not run' if pid is None else 'does not answer')
            for name, (pid, works) in self.status().items() if not works]
        return problems or self._hosts_missing()

    def _hosts_missing(self):
        """Computes that are not schedulable with all of their devices."""
        connection = self.connection()
        providers = {
            provider.name: provider
            for provider in connection.placement.resource_providers()}
        with backing.connect(self.layout, 'nova_api') as database:
            with database.cursor() as cursor:
                cursor.execute('SELECT host FROM host_mappings')
                mapped = {row[0] for row in cursor.fetchall()}
        problems = []
        for name in self.computes:
            wanted = len(services.nova.device_specs(self, name))
            devices = [p for p in providers if p.startswith(f'{name}_')]
            if name not in mapped:
                problems.append(f'{name} is not mapped to a cell')
            elif name not in providers or len(devices) != wanted:
                problems.append(
                    f'{name} has {len(devices)} of {wanted} devices in '
                    'placement')
        return problems

    # Change

    def restart(self, *names):
        """Stop services and start them anew with their configuration."""
        for name in names:
            process.stop(self.layout, name)
        self._start([item for item in self.services() if item.name in names])

    def configure_scheduler(self, scheduler):
        """Run nova-scheduler with other filters and weighers.

        :param scheduler: ``stock`` or ``ai-factory``
        """
        self.scheduler = scheduler
        self.configure()
        self._remember()
        self.restart('placement', 'nova-scheduler')

    def configure_compute(self, name, compute):
        """Run a compute with another configuration.

        :param name: its host name
        :param compute: a :class:`Compute`
        """
        self.computes[name] = compute
        self.configure()
        self.restart(f'nova-compute-{name}')
        self._wait_for_hosts()

    # Stop

    def down(self):
        """Stop all that runs; what is there on disk stays.

        :returns: names of the services that ran
        """
        running = self.running()
        order = [item.name for item in self.services()]
        names = sorted(
            process.known(self.layout), reverse=True,
            key=lambda name: order.index(name) if name in order else -1)
        backing_names = {
            item.name for item in backing.services(self.layout)}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(
                lambda name: process.stop(self.layout, name),
                [name for name in names if name not in backing_names]))
        for name in names:
            if name in backing_names:
                process.stop(self.layout, name)
        return running

    def destroy(self):
        """Stop it and delete all that it has on disk."""
        self.down()
        shutil.rmtree(self.layout.root, ignore_errors=True)


def _settings(root):
    try:
        return json.loads((root / _SETTINGS).read_text())
    except (OSError, ValueError):
        return {}


def _safely(check):
    """A check's result; what fails is not well."""
    try:
        return check()
    except Exception:
        return False
