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


"""Where things are: directories, ports, addresses and passwords."""

import dataclasses
import os
import pathlib

HOST = '127.0.0.1'
REGION = 'RegionOne'
PASSWORD = 'cloud'  # of a cloud that listens on loopback only
BASE_PORT = 21000
# Ports that a service takes; a second cloud is moved by --port-offset.
PORTS = (
    'mariadb', 'epmd', 'rabbitmq', 'rabbitmq-dist', 'memcached', 'keystone',
    'placement', 'glance', 'neutron', 'nova-api', 'ironic', 'redfish', 'swift',
    'swift-stock', 'swift-account', 'swift-container', 'swift-object-0',
    'swift-object-1', 'swift-object-2')


@dataclasses.dataclass(frozen=True)
class Layout:
    """One cloud's place on this machine.

    :param root: state directory
    :param port_offset: what is added to each port number
    """

    root: pathlib.Path
    port_offset: int = 0

    def port(self, name):
        return BASE_PORT + self.port_offset + PORTS.index(name)

    def url(self, name):
        return f'http://{HOST}:{self.port(name)}'

    def directory(self, *parts):
        """A directory below the state directory; made if not there."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def etc(self, service):
        return self.root / 'etc' / service

    def log(self, service):
        return self.root / 'log' / f'{service}.log'

    def pid(self, service):
        return self.root / 'run' / f'{service}.pid'

    def database(self, name):
        return (f'mysql+pymysql://cloud:{PASSWORD}@{HOST}:'
                f'{self.port("mariadb")}/{name}?charset=utf8')

    @property
    def transport(self):
        return f'rabbit://guest:guest@{HOST}:{self.port("rabbitmq")}/'


def cache_directory():
    """Where what can be used again is kept, for this user."""
    base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(base) / 'ai-factory-plugins' / 'cloud'
