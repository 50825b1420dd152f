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

"""Servers to compare with: nginx, and SeaweedFS with its S3.

Each is an instance of our own that listens on loopback, with its own
configuration and its own directory, and is gone afterwards.
"""

import json
import os
import pathlib
import shutil
import sys
import time
import urllib.parse

from ai_factory_plugins.testing import signing
from benchmarks.swift import layouts
from benchmarks.swift import loads
from cloud import errors
from cloud import layout as state
from cloud import process
from cloud import service

ACCESS, SECRET = 'benchmark', 'benchmark'
_SECONDS_TO_START = 60


class Unavailable(Exception):
    """A server is not installed; the message says what is missing."""


def find(command, package):
    """Path of a command.

    :param package: what has it
    :raises Unavailable: it is not there
    """
    beside = pathlib.Path(sys.executable).parent
    found = shutil.which(command, path=os.pathsep.join([
        str(beside), os.environ.get('PATH', ''), '/usr/sbin']))
    if found is None:
        raise Unavailable(f'{command} is missing; it is in {package}')
    return found


class Server:
    """One server, of one process group.

    :param root: directory for all that it writes
    :param port: the first of its ports
    """

    NAME = None
    PORTS = 1

    def __init__(self, root, port):
        self.layout = state.Layout(pathlib.Path(root).absolute() / self.NAME)
        self.port = port
        self._written = set()

    def up(self):
        """Start it.

        :raises Unavailable: it is not installed
        :raises CloudError: it does not start
        """
        command = self.command()
        self.down()
        for port in range(self.port, self.port + self.PORTS):
            if service.listens(port):
                raise errors.CloudError(
                    f'{self.NAME}: something listens on port {port} already')
        self.layout.directory()
        self.data.mkdir(parents=True, exist_ok=True)
        self.configure()
        process.start(self.layout, self.NAME, command)
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self.is_ready():
            if (process.pid(self.layout, self.NAME) is None
                    or time.monotonic() > deadline):
                raise errors.CloudError(
                    f'{self.NAME} does not start:\n'
                    + process.tail(self.layout.log(self.NAME)))
            time.sleep(0.1)

    def down(self):
        """Stop it, and delete what it has written."""
        process.stop(self.layout, self.NAME)
        shutil.rmtree(self.layout.root, ignore_errors=True)

    @property
    def data(self):
        return self.layout.root / 'data'

    def leaders(self, way):
        """Its process groups, by role."""
        return {'front': [process.pid(self.layout, self.NAME)]}

    def is_ready(self):
        return service.listens(self.port)

    def write(self, layout):
        """Write the objects of a layout, if they are not there."""
        if layout not in self._written:
            for name in layout.names:
                self.put(name, layouts.body(name, layout.size),
                         layout.segment)
            self._written.add(layout)

    def files(self, layout):
        """The files that have the data."""
        return [path for path in self.data.rglob('*') if path.is_file()]

    def forget(self, way):
        """Empty the cache that it has besides the page cache: none."""

    def warm(self, layout, way):
        """Fill that cache."""

    def lead(self, layout, way):
        """Seconds after which it is as it will stay."""
        return 0.5


class Nginx(Server):
    """Files, as they are: what HTTP costs."""

    NAME = 'nginx'

    def command(self):
        return [find('nginx', "the distribution's package nginx-light"),
                '-p', str(self.layout.root), '-c', str(self._conf)]

    @property
    def _conf(self):
        return self.layout.root / 'nginx.conf'

    def configure(self):
        root = self.layout.root
        temporary = '\n'.join(
            f'    {kind}_temp_path {root}/tmp-{kind};' for kind in (
                'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        self._conf.write_text(f'''\
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    default_type application/octet-stream;
{temporary}
    server {{
        listen 127.0.0.1:{self.port};
        root {self.data};
    }}
}}
''')

    def put(self, name, body, segment):
        """Write a file; there are no segments."""
        path = self.data / layouts.CONTAINER / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)

    def files(self, layout):
        return [self.data / layouts.CONTAINER / name for name in layout.names]

    def target(self, layout, way):
        return loads.Target(self.port, {
            name: urllib.parse.quote(f'/{layouts.CONTAINER}/{name}')
            for name in layout.names}, {})


class Seaweed(Server):
    """SeaweedFS: master, volume server, filer and S3 in one process."""

    NAME = 'seaweedfs'
    # S3 is the first one; each has one of gRPC besides.
    _ROLES = ('s3', 'master', 'volume', 'filer')
    PORTS = 2 * len(_ROLES)

    def command(self):
        ports = []
        for number, role in enumerate(self._ROLES):
            port = self.port + 2 * number
            ports += [f'-{role}.port={port}', f'-{role}.port.grpc={port + 1}']
        return [find('weed', 'benchmarks/swift/requirements.txt'), 'server',
                f'-dir={self.data}', '-ip=127.0.0.1', '-ip.bind=127.0.0.1',
                '-s3', f'-s3.config={self._conf}', '-s3.port.iceberg=0',
                '-s3.port.lance=0', '-volume.max=0', *ports]

    @property
    def _conf(self):
        return self.layout.root / 's3.json'

    def configure(self):
        self._conf.write_text(json.dumps({'identities': [{
            'name': ACCESS,
            'credentials': [{'accessKey': ACCESS, 'secretKey': SECRET}],
            'actions': ['Admin', 'Read', 'Write', 'List']}]}))

    def _client(self):
        import boto3
        from botocore import config

        return boto3.client(
            's3', endpoint_url=f'http://127.0.0.1:{self.port}',
            region_name=signing.REGION, aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET, config=config.Config(
                s3={'addressing_style': 'path'}, proxies={},
                retries={'max_attempts': 10}))

    def is_ready(self):
        from botocore import exceptions

        if not service.listens(self.port):
            return False
        try:
            # It answers before it can write.
            client = self._client()
            client.create_bucket(Bucket=layouts.CONTAINER)
            client.put_object(Bucket=layouts.CONTAINER, Key='up', Body=b'up')
        except exceptions.ClientError as exc:
            return 'BucketAlready' in exc.response['Error']['Code']
        except exceptions.BotoCoreError:
            return False
        return True

    def put(self, name, body, segment):
        from botocore import exceptions

        where = {'Bucket': layouts.CONTAINER, 'Key': name}
        try:
            if segment is None:
                self._client().put_object(Body=body, **where)
            else:
                self._put_parts(where, body, segment)
        except (exceptions.ClientError, exceptions.BotoCoreError) as exc:
            raise errors.CloudError(f'{self.NAME}: {exc}')

    def _put_parts(self, where, body, segment):
        client = self._client()
        upload = client.create_multipart_upload(**where)['UploadId']
        parts = []
        for number, first in enumerate(range(0, len(body), segment), 1):
            part = client.upload_part(
                **where, UploadId=upload, PartNumber=number,
                Body=body[first:first + segment])
            parts.append({'PartNumber': number, 'ETag': part['ETag']})
        client.complete_multipart_upload(
            **where, UploadId=upload, MultipartUpload={'Parts': parts})

    def target(self, layout, way):
        return loads.Target(self.port, {name: signing.presign(
            f'127.0.0.1:{self.port}', f'/{layouts.CONTAINER}/{name}',
            ACCESS, SECRET) for name in layout.names}, {})
