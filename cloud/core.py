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
import contextlib
import dataclasses
import fcntl
import json
import pathlib
import shutil
import time
import typing

import openstack
import yaml

from cloud import backing
from cloud import databases
from cloud import errors
from cloud import health
from cloud import layout as layouts
from cloud import process
from cloud import service as service_module
from cloud import services

SECONDS_TO_START = 240
CLOUD = 'ai-factory'
COMPUTE_API = '2.100'
PLACEMENT_API = '1.39'
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
        self.computes = dict(computes or {
            name: Compute(board)
            for name, board in known.get('computes', {}).items()} or COMPUTES)
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

    def _client(self):
        """How a client logs in as admin, in the words of clouds.yaml."""
        return {
            'auth': {
                'auth_url': self.layout.url('keystone') + '/v3',
                'username': 'admin', 'password': layouts.PASSWORD,
                'project_name': 'admin', 'user_domain_id': 'default',
                'project_domain_id': 'default'},
            'region_name': layouts.REGION,
            'compute_api_version': COMPUTE_API,
            'placement_api_version': PLACEMENT_API,
        }

    @property
    def auth(self):
        """The variables with which a client logs in as admin."""
        return {
            **{f'OS_{name.upper()}': value
               for name, value in self._client()['auth'].items()},
            'OS_REGION_NAME': layouts.REGION,
            'OS_IDENTITY_API_VERSION': '3',
            'OS_COMPUTE_API_VERSION': COMPUTE_API,
            'OS_PLACEMENT_API_VERSION': PLACEMENT_API,
        }

    def connection(self):
        """An :class:`openstack.connection.Connection` as admin."""
        return openstack.connection.Connection(
            config=openstack.config.OpenStackConfig(
                config_files=[str(self.layout.root / 'clouds.yaml')],
                load_envvars=False).get_one(CLOUD))

    def log(self, name):
        """Path of the log of a service."""
        return self.layout.log(name)

    # Start

    def up(self):
        """Start it, or what of it does not run.

        :raises CloudError: it does not start; the message says which part
            and shows the end of its log
        """
        backing.require_programs()
        with self._alone():
            if not self.running():
                self._up()
            elif self.unwell():
                self.tell('unwell: stopping what is left of it')
                self.down()
                self._up()
            else:
                self.tell('already up')
                known = _settings(self.layout.root)
                if known['scheduler'] != self.scheduler:
                    self.configure_scheduler(self.scheduler)

    def _up(self):
        self._require_ports()
        shutil.rmtree(self.layout.root / 'log', ignore_errors=True)
        self.configure()
        self._remember()
        databases.prepare(self)
        database, *others = self.services()
        self.start([database])
        databases.relocate(self)
        self.start(others)
        self._image()
        self._wait_for_hosts()

    @contextlib.contextmanager
    def _alone(self):
        with open(self.layout.directory() / 'lock', 'w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise errors.CloudError(
                    f'Another process is starting {self.layout.root}.')
            yield

    def configure(self):
        """Write all configuration files."""
        backing.configure(self.layout)
        for module in services.MODULES:
            module.configure(self)
        (self.layout.root / 'clouds.yaml').write_text(
            yaml.safe_dump({'clouds': {CLOUD: self._client()}}))

    def _remember(self):
        (self.layout.root / _SETTINGS).write_text(json.dumps({
            'port_offset': self.layout.port_offset,
            'scheduler': self.scheduler,
            'computes': {name: compute.board
                         for name, compute in self.computes.items()}}))

    def _require_ports(self):
        taken = [
            f'{self.layout.port(name)} ({name})' for name in layouts.PORTS
            if service_module.listens(self.layout.port(name))]
        if taken:
            raise errors.CloudError(
                'Something else listens on port ' + ', '.join(taken)
                + '. Stop it, or use another --port-offset.')

    def start(self, wanted):
        """Start services as soon as what they need is ready.

        :param wanted: list of :class:`~cloud.service.Service`
        :raises CloudError: one does not start; the message shows the end of
            its log
        """
        waiting, checks, ready = list(wanted), {}, set()
        names = {item.name for item in wanted}
        deadline = time.monotonic() + SECONDS_TO_START
        pool = concurrent.futures.ThreadPoolExecutor()
        try:
            while waiting or checks:
                for item in [w for w in waiting
                             if ready.issuperset(names.intersection(w.needs))]:
                    waiting.remove(item)
                    process.start(
                        self.layout, item.name, item.command, item.env)
                    checks[item] = pool.submit(_safely, item.ready)
                for item, check in list(checks.items()):
                    if self._is_ready(item, check, deadline):
                        del checks[item]
                        ready.add(item.name)
                        self.tell(f'{item.name} ready '
                                  f'({len(ready)} of {len(names)})')
                    elif check.done():
                        checks[item] = pool.submit(_safely, item.ready)
                time.sleep(0.1)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _is_ready(self, item, check, deadline):
        if process.pid(self.layout, item.name) is None:
            raise self._died(item.name, 'ended while it started')
        if check.done() and check.result():
            return True
        if time.monotonic() > deadline:
            raise self._died(
                item.name, f'is not ready after {SECONDS_TO_START} s')
        return False

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
        connection = self.connection()
        while True:
            problems = health.problems(self, connection)
            if not problems:
                return
            if time.monotonic() > deadline:
                raise errors.CloudError('; '.join(problems))
            time.sleep(0.5)

    # Look

    def running(self):
        """Names of the services of which anything runs."""
        return [name for name in process.known(self.layout)
                if process.group(self.layout, name) is not None]

    def status(self):
        """What each service is doing.

        :returns: dict of name to (pid or None, whether it does its work)
        """
        found = {}
        for item in self.services():
            pid = process.pid(self.layout, item.name)
            found[item.name] = (pid, pid is not None and _safely(item.ready))
        return found

    def unwell(self, status=None):
        """What does not work, as a list of sentences; empty if all does.

        :param status: what :meth:`status` has just returned
        """
        problems = [
            f'{name} ' + ('does not run' if pid is None else 'does not answer')
            for name, (pid, works) in (status or self.status()).items()
            if not works]
        return problems or health.problems(self, self.connection())

    # Change

    def restart(self, *names):
        """Stop services and start them anew with their configuration."""
        for name in names:
            process.stop(self.layout, name)
        self.start([item for item in self.services() if item.name in names])

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
        self._remember()
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
                process.stop(self.layout, name, seconds=60)
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
