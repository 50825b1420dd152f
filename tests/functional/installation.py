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

"""The cloud with the configuration files that the DevStack plugin makes."""

import shutil

from cloud.services import object_store
from tests.unit.devstack import base

SERVICES = ('n-api,n-sch,n-cond,placement-api,ir-api,ir-cond,'
            's-proxy,s-object,s3api')
RESTARTED = ('placement', 'nova-api', 'nova-scheduler', 'ironic')
OBJECT_SERVERS = range(3)


class Installation:
    """What the plugin makes of a stock cloud.

    It runs in bash, with stubs of DevStack's functions, on the files with
    which the services of the cloud are then started.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    :param directory: for what DevStack has
    """

    def __init__(self, cloud, directory):
        self.cloud = cloud
        self.host = base.DevStack(
            directory, ENABLED_SERVICES=SERVICES, REBUILD='no', **base.BOARD)
        etc = cloud.layout.etc
        self.files = {
            'nova/nova.conf': etc('nova') / 'nova.conf',
            'placement/placement.conf': etc('placement') / 'placement.conf',
            'ironic/ironic.conf': etc('ironic') / 'ironic.conf',
            'swift/proxy-server.conf': etc('swift') / 'proxy.conf',
            **{f'swift/object-server/{i}.conf': etc('swift')
               / f'object-{i}.conf' for i in OBJECT_SERVERS}}

    def __enter__(self):
        self.cloud.scheduler = 'stock'
        self.cloud.configure()
        self._forget()
        self.stock = {name: path.read_text()
                      for name, path in self.files.items()}
        self.run('stack')
        self._restart()
        return self

    def __exit__(self, *exc_info):
        self.cloud.scheduler = 'ai-factory'
        self.cloud.configure()
        self._restart()

    def run(self, script):
        """Run a script of DevStack on the files of the cloud."""
        for name, path in self.files.items():
            copy = self.host.conf(name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        found = self.host.run(script)
        assert (found.returncode, found.stderr) == (0, ''), found.stdout
        for name, path in self.files.items():
            shutil.copy(self.host.conf(name), path)

    def _forget(self):
        """Take out what the cloud has of ours in any case."""
        for path in self.files.values():
            lines = path.read_text().splitlines(keepends=True)
            path.write_text(''.join(
                line.replace('range_server ', '') for line in lines
                if not line.startswith(
                    ('alias = ', 'hooks = ', 'inspection_hooks = '))))
        proxy = self.files['swift/proxy-server.conf']
        ports = (f'bind_port = {self.cloud.layout.port(name)}\n' for name in
                 (object_store.STOCK, object_store.PROXY))
        proxy.write_text(
            proxy.with_name('proxy-stock.conf').read_text().replace(*ports))

    def _restart(self):
        self.cloud.restart(
            *RESTARTED, object_store.PROXY,
            *(f'swift-object-{i}' for i in OBJECT_SERVERS))
