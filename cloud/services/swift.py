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

"""Swift on directories: a proxy, one account and container server, and object
servers with two devices each.

So far it runs by itself, with tempauth; the tests and benchmarks of the Swift
plugins start it.
"""

import dataclasses
import json
import os
import pathlib
import pwd
import shutil
import sys
import time
import urllib.request

from cloud import config
from cloud import errors
from cloud import layout as layouts
from cloud import process
from cloud import service

PACKAGES = ('swift',)
SECONDS_TO_START = 60
SECONDS_TO_LEAVE = 3  # a port, for the threads of what has been killed
DEVICES = 2  # of an object server, so that there are handoffs
LEFT = 'catch_errors gatekeeper healthcheck proxy-logging cache ' \
       'listing_formats bulk tempurl tempauth'
RIGHT = 'copy slo dlo versioned_writes symlink'
# (account, user) to (key, groups)
USERS = {
    ('test', 'tester'): ('testing', '.admin'),
    ('test', 'reader'): ('reading', ''),
    ('other', 'stranger'): ('strange', '.admin'),
}
_OURS = 'egg:ai-factory-plugins#'


@dataclasses.dataclass
class Settings:
    """What of it can be chosen.

    :param object_servers: how many
    :param without_filter: numbers of the object servers that do not have the
        filter ``range_server``
    :param proxies: dict of name to what stands in its pipeline between the
        filters that change data and proxy-server, such as ``encryption``
    :param stock: names of the proxies without the filters ``batch_read`` and
        ``batch_read_s3``
    :param batch_read: options of that filter
    :param range_server: options of our filter of the object servers
    :param block_caches: dict of filter to options, for filters
        ``block_cache`` that proxies have in their pipelines
    :param memcache: options of the filter ``cache``
    :param s3api: options of the filter ``s3api``, or None for no S3. With
        tempauth, ``ACCOUNT:USER`` is the access key and the key the secret
    :param s3_acl: names of the proxies whose S3 has ACLs of objects
    :param left: the filters left of ``batch_read``
    :param right: the filters right of it
    :param filters: dict of filter of the proxies to more options
    :param proxy: options of proxy-server
    :param object_server: options of object-server
    :param default: options of all servers, in their sections ``DEFAULT``
    :param replicas: of an object
    :param ec: whether there is an erasure-coded policy, ``ec``
    """

    object_servers: int = 3
    without_filter: tuple = ()
    proxies: dict = dataclasses.field(default_factory=lambda: {'proxy': ''})
    stock: tuple = ()
    batch_read: dict = dataclasses.field(default_factory=dict)
    range_server: dict = dataclasses.field(default_factory=dict)
    block_caches: dict = dataclasses.field(default_factory=dict)
    memcache: dict = dataclasses.field(default_factory=dict)
    s3api: dict | None = None
    s3_acl: tuple = ()
    left: str = LEFT
    right: str = RIGHT
    filters: dict = dataclasses.field(default_factory=dict)
    proxy: dict = dataclasses.field(default_factory=dict)
    object_server: dict = dataclasses.field(default_factory=dict)
    default: dict = dataclasses.field(default_factory=dict)
    replicas: int = 3
    ec: bool = False


class Swift:
    """One Swift, running or not.

    :param root: state directory
    :param base_port: the first of the ports that it listens on
    :param settings: :class:`Settings`
    """

    def __init__(self, root, base_port, settings=None):
        self.layout = layouts.Layout(pathlib.Path(root).absolute())
        self.base_port = base_port
        self.settings = settings or Settings()

    # What it consists of

    def object_server(self, number):
        """Name of an object server."""
        return f'object-{number}'

    def names(self):
        """Names of all processes; a port each."""
        return ['memcached', 'account', 'container', *(
            self.object_server(number)
            for number in range(self.settings.object_servers)),
            *self.settings.proxies]

    def port(self, name):
        return self.base_port + self.names().index(name)

    def url(self, name='proxy'):
        return f'http://{layouts.HOST}:{self.port(name)}'

    def devices(self, name):
        """Directory of the devices of a server."""
        return self.layout.root / 'devices' / name

    def conf(self, name):
        return self.layout.etc('swift') / f'{name}.conf'

    # Configuration

    def configure(self):
        """Write all configuration files, and the rings if there are none."""
        etc = self.layout.directory('etc', 'swift')
        policies = {'storage-policy:0': {'name': 'gold', 'default': 'yes'}}
        if self.settings.ec:
            policies['storage-policy:1'] = {
                'name': 'ec', 'policy_type': 'erasure_coding',
                'ec_type': 'liberasurecode_rs_vand',
                'ec_num_data_fragments': 2, 'ec_num_parity_fragments': 1}
        config.write(etc / 'swift.conf', {
            'swift-hash': {'swift_hash_path_prefix': 'cloud',
                           'swift_hash_path_suffix': 'cloud'}, **policies})
        for name in self.names():
            self._configure(name)
        if not (etc / 'object.ring.gz').exists():
            self._rings(etc)

    def _configure(self, name):
        if name in self.settings.proxies:
            sections = self._proxy(name)
        elif name == 'memcached':
            return
        else:
            sections = self._storage(name)
        config.write(self.conf(name), {
            'DEFAULT': {
                'bind_ip': layouts.HOST, 'bind_port': self.port(name),
                'workers': 0, 'swift_dir': self.layout.etc('swift'),
                'user': pwd.getpwuid(os.geteuid()).pw_name,
                'devices': self.devices(name), 'mount_check': 'false',
                'disable_fallocate': 'true', **self.settings.default,
                **sections.pop('DEFAULT', {})},
            **sections})

    def _storage(self, name):
        kind = name.partition('-')[0]
        sections = {f'app:{kind}-server': {'use': f'egg:swift#{kind}'}}
        pipeline = f'{kind}-server'
        if kind == 'object':
            sections['app:object-server'].update(self.settings.object_server)
            if int(name.partition('-')[2]) not in self.settings.without_filter:
                pipeline = f'range_server {pipeline}'
                sections['filter:range_server'] = {
                    'use': f'{_OURS}range_server',
                    **self.settings.range_server}
            for number in range(DEVICES):
                (self.devices(name) / f'd{number}').mkdir(
                    parents=True, exist_ok=True)
        else:
            (self.devices(name) / 'd0').mkdir(parents=True, exist_ok=True)
        return {'pipeline:main': {'pipeline': pipeline}, **sections}

    def _proxy(self, name):
        ours = [] if name in self.settings.stock else ['batch_read']
        left = self.settings.left
        if self.settings.s3api is not None:
            s3 = ' '.join([*(['batch_read_s3'] if ours else []), 's3api'])
            left = left.replace('tempauth', f'{s3} tempauth')
        pipeline = ' '.join([
            left, *ours, self.settings.right, self.settings.proxies[name],
            'proxy-logging proxy-server'])
        sections = {
            'DEFAULT': {'expose_info': 'true'},
            'pipeline:main': {'pipeline': pipeline},
            'app:proxy-server': {
                'use': 'egg:swift#proxy', 'account_autocreate': 'true',
                **self.settings.proxy},
            'filter:cache': {
                'use': 'egg:swift#memcache',
                'memcache_servers':
                    f'{layouts.HOST}:{self.port("memcached")}',
                **self.settings.memcache},
            'filter:tempauth': {'use': 'egg:swift#tempauth', **{
                f'user_{account}_{user}': f'{key} {groups}'.strip()
                for (account, user), (key, groups) in USERS.items()}},
            'filter:keymaster': {
                'use': 'egg:swift#keymaster',
                # Of a cloud for tests.
                'encryption_root_secret': 'Y2xvdWQ' * 8},
            'filter:versioned_writes': {
                'use': 'egg:swift#versioned_writes',
                'allow_object_versioning': 'true'},
            'filter:batch_read': {
                'use': f'{_OURS}batch_read', **self.settings.batch_read},
            'filter:batch_read_s3': {'use': f'{_OURS}batch_read_s3'},
        }
        if self.settings.s3api is not None:
            sections['filter:s3api'] = {
                'use': 'egg:swift#s3api', **self.settings.s3api,
                's3_acl': name in self.settings.s3_acl}
        for known, values in self.settings.block_caches.items():
            sections[f'filter:{known}'] = {
                'use': f'{_OURS}block_cache', **values}
        for known in pipeline.split()[:-1]:
            sections.setdefault(f'filter:{known}', {
                'use': f'egg:swift#{known.replace("-", "_")}'})
        for known, chosen in self.settings.filters.items():
            sections.setdefault(f'filter:{known}', {}).update(chosen)
        return sections

    def _rings(self, etc):
        for kind in ('account', 'container'):
            _ring(etc / f'{kind}.ring.gz', 1, [(0, self.port(kind), 'd0')])
        devices = [
            (number, self.port(self.object_server(number)), f'd{device}')
            for number in range(self.settings.object_servers)
            for device in range(DEVICES)]
        _ring(etc / 'object.ring.gz', self.settings.replicas, devices)
        if self.settings.ec:
            shutil.copy(etc / 'object.ring.gz', etc / 'object-1.ring.gz')

    # Processes

    def services(self):
        """The processes, as :class:`~cloud.service.Service` objects."""
        return [self._service(name) for name in self.names()]

    def _service(self, name):
        port = self.port(name)
        if name == 'memcached':
            command = [shutil.which('memcached', path=os.defpath) or name,
                       '-l', layouts.HOST, '-U', '0', '-p', str(port),
                       '-m', '64']
            if os.geteuid() == 0:
                command += ['-u', 'root']
        else:
            kind = ('proxy' if name in self.settings.proxies
                    else name.partition('-')[0])
            command = [sys.executable, '-m', 'cloud.swift_server', kind,
                       str(self.conf(name))]
        return service.Service(
            name, command, ports=(name,),
            ready=lambda: service.listens(port))

    def up(self):
        """Start it.

        :raises CloudError: it does not start; the message shows why
        """
        self.layout.directory()
        self.configure()
        self.start(*self.names())

    def start(self, *names):
        """Start some of its processes, with their configuration.

        :raises CloudError: something else listens on a port of theirs, or a
            process does not start
        """
        wanted = [item for item in self.services() if item.name in names]
        for item in wanted:
            self._check_port(item.name)
        for item in wanted:
            self._configure(item.name)
            process.start(self.layout, item.name, item.command, item.env)
        deadline = time.monotonic() + SECONDS_TO_START
        for item in wanted:
            while not item.ready():
                if (process.pid(self.layout, item.name) is None
                        or time.monotonic() > deadline):
                    raise errors.CloudError(
                        f'{item.name} does not start:\n'
                        + process.tail(self.layout.log(item.name)))
                time.sleep(0.05)

    def _check_port(self, name):
        """See that nobody else is taken for a process to be started."""
        deadline = time.monotonic() + SECONDS_TO_LEAVE
        while service.listens(self.port(name)):
            if time.monotonic() > deadline:
                raise errors.CloudError(
                    f'{name} does not start: something listens on '
                    f'{layouts.HOST}:{self.port(name)} already')
            time.sleep(0.05)

    def stop(self, *names, seconds=5):
        """Stop some of its processes.

        :param seconds: how long each may take to stop by itself; 0 kills it
        """
        for name in names:
            process.stop(self.layout, name, seconds)

    def pid(self, name):
        """The pid of one of its processes, or None."""
        return process.pid(self.layout, name)

    def down(self):
        """Stop all that runs of it."""
        self.stop(*process.known(self.layout))

    def destroy(self):
        """Stop it, and delete all that it has on disk."""
        self.down()
        shutil.rmtree(self.layout.root, ignore_errors=True)

    # Clients

    def login(self, account='test', user='tester', proxy='proxy'):
        """Get a token from tempauth.

        :returns: (URL of the account, token)
        """
        request = urllib.request.Request(
            f'{self.url(proxy)}/auth/v1.0', headers={
                'X-Auth-User': f'{account}:{user}',
                'X-Auth-Key': USERS[account, user][0]})
        with urllib.request.urlopen(request, timeout=30) as response:
            return (response.headers['X-Storage-Url'],
                    response.headers['X-Auth-Token'])

    def info(self, proxy='proxy'):
        """What ``/info`` of a proxy says."""
        with urllib.request.urlopen(
                f'{self.url(proxy)}/info', timeout=30) as response:
            return json.load(response)


def _ring(path, replicas, devices):
    """Make a ring.

    :param devices: list of (zone, port, name)
    """
    # It needs eventlet, which this process may not want.
    from swift.common.ring import RingBuilder

    builder = RingBuilder(8, replicas, 1)
    for zone, port, name in devices:
        builder.add_dev({
            'region': 1, 'zone': zone, 'ip': layouts.HOST, 'port': port,
            'replication_ip': layouts.HOST, 'replication_port': port,
            'device': name, 'weight': 1})
    builder.rebalance(seed='cloud')
    builder.get_ring().save(str(path))
