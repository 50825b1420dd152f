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

"""A file system for readers that know fsspec.

::

    import fsspec

    fs = fsspec.filesystem('swift-dataset', auth_url=..., user=..., key=...)
    headers = fs.cat_ranges(['train/shard-0.tar'] * 2, [0, 8192],
                            [4096, 12288])

Paths are ``container/object``; a URL is ``swift-dataset://container/object``.
What is asked for at about the same time, by ``cat_ranges``, by ``cat`` of many
files or by many tasks, is one request for up to ``batch`` ranges, so that
readers such as zarr profit without a change. It reads only.
"""

from fsspec import asyn
from fsspec import spec

from ai_factory_plugins.dataset import aio
from ai_factory_plugins.dataset import auth
from ai_factory_plugins.dataset import client
from ai_factory_plugins.dataset import connection
from ai_factory_plugins.dataset import listing

PROTOCOL = 'swift-dataset'


class SwiftFileSystem(asyn.AsyncFileSystem):
    """The objects of one account, to be read.

    :param batch: ranges of one request
    :param delay: seconds that a range waits for others
    :param timeout: seconds that the server may be silent
    :param options: what :func:`ai_factory_plugins.dataset.auth.account`
        takes: ``storage_url`` and ``token``, or ``auth_url`` and the rest
    """

    protocol = PROTOCOL
    root_marker = ''

    def __init__(self, batch=256, delay=0.001, timeout=60,
                 asynchronous=False, loop=None, use_listings_cache=False,
                 **options):
        super().__init__(asynchronous=asynchronous, loop=loop,
                         use_listings_cache=use_listings_cache)
        url, token = auth.account(**options)
        reader = client.BatchReader(url, token, batch=batch, timeout=timeout)
        self._reader = aio.AsyncBatchReader(reader, batch)
        self._merger = self._reader.merger(delay)
        self._listing = listing.Listing(
            connection.Connections(url, token, timeout))

    # Reading

    async def _cat_file(self, path, start=None, end=None, etag=None, **kwargs):
        """Bytes of an object, as a slice of it.

        :param etag: what the object has to have
        """
        container, name = self._split(path)
        if not name:
            raise IsADirectoryError(path)
        ranges = await self._ranges(path, start, end)
        if ranges is None:
            await self._file(path)
            return b''
        try:
            result = await self._merger.read(
                client.Item(name, ranges, container, etag))
        except connection.ServerError as exc:
            raise error(exc.status, path, str(exc)) from exc
        if result.status == 416:
            return b''
        if result.status not in (200, 206):
            raise error(result.status, path, result.reason)
        return result.data[0]

    async def _ranges(self, path, start, end):
        """What HTTP calls a slice; None for one without bytes."""
        if end is not None and end < 0 or (
                start is not None and start < 0 and end is not None):
            size = (await self._file(path))['size']
            start, end, _ = slice(start, end).indices(size)
        if start is not None and start < 0:
            return [(None, -start)]
        if end is None:
            return [(start, None)] if start else []
        start = start or 0
        return [(start, end - 1)] if start < end else None

    async def _file(self, path):
        info = await self._info(path)
        if info['type'] != 'file':
            raise IsADirectoryError(path)
        return info

    def _open(self, path, mode='rb', block_size=None, cache_options=None,
              **kwargs):
        if mode != 'rb':
            raise ValueError(f'{path}: mode {mode!r}, but it reads only')
        kwargs.pop('autocommit', None)
        return SwiftFile(self, path, mode, block_size or 'default',
                         cache_options=cache_options, **kwargs)

    # Looking

    async def _info(self, path, **kwargs):
        path = self._strip_protocol(path)
        container, name = self._split(path)
        directory = {'name': path, 'size': 0, 'type': 'directory'}
        if not container:
            return directory
        if not name:
            if not await self._ask(self._listing.has_container, container):
                raise FileNotFoundError(path)
            return directory
        found = await self._ask(self._listing.object, container, name)
        if found is not None:
            return _info(container, found)
        if not await self._objects(container, f'{name}/', limit=1):
            raise FileNotFoundError(path)
        return directory

    async def _ls(self, path, detail=True, **kwargs):
        path = self._strip_protocol(path)
        container, name = self._split(path)
        if not container:
            names = await self._ask(lambda: list(self._listing.containers()))
            found = [{'name': item, 'size': 0, 'type': 'directory'}
                     for item in names]
        else:
            prefix = f'{name}/' if name else ''
            objects = await self._objects(container, prefix, '/')
            found = [_info(container, item) for item in objects
                     if item.name != prefix]
            if not objects:
                info = await self._info(path)
                found = [info] if info['type'] == 'file' else []
        return found if detail else [item['name'] for item in found]

    async def _objects(self, container, prefix, delimiter='', limit=None):
        try:
            return await self._ask(lambda: list(self._listing.objects(
                container, prefix, delimiter, limit)))
        except FileNotFoundError:
            raise FileNotFoundError(container) from None

    async def _ask(self, function, *args):
        try:
            return await self._reader.call(function, *args)
        except connection.ServerError as exc:
            raise error(exc.status, str(args), str(exc)) from exc

    @classmethod
    def _split(cls, path):
        """Container and object of a path."""
        container, _, name = cls._strip_protocol(path).partition('/')
        return container, name


class SwiftFile(spec.AbstractBufferedFile):
    """An object that is open; all that is read of it is of one version."""

    def _fetch_range(self, start, end):
        return self.fs.cat_file(
            self.path, start=start, end=end, etag=self.details['etag'])


def _info(container, found):
    path = f'{container}/{found.name}'
    if found.size is None:
        return {'name': path.rstrip('/'), 'size': 0, 'type': 'directory'}
    return {'name': path, 'size': found.size, 'type': 'file',
            'etag': found.etag, 'modified': found.modified}


def error(status, path, reason):
    """What Python calls a status of Swift.

    :returns: an :class:`OSError`
    """
    if status == 404:
        return FileNotFoundError(path)
    if status in (401, 403):
        return PermissionError(f'{path}: {reason}')
    if status in (409, 412):
        return OSError(f'{path}: the object has changed')
    return OSError(f'{path}: {status} {reason}')
