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

"""Readers that know fsspec, asyncio or shards, on a real Swift."""

import asyncio
import io
import pickle
import random
import tarfile

import fsspec
import pytest

from ai_factory_plugins.dataset import aio
from ai_factory_plugins.dataset import auth
from ai_factory_plugins.dataset import client
from ai_factory_plugins.dataset import filesystem
from ai_factory_plugins.dataset import shards
from cloud.services import swift as swift_module
from tests.swift import conftest
from tests.swift import logs


def options(swift, proxy='proxy', user='tester'):
    return {'auth_url': f'{swift.url(proxy)}/auth/v1.0',
            'user': f'test:{user}',
            'key': swift_module.USERS['test', user][0]}


@pytest.fixture(params=['proxy', conftest.STOCK])
def fs(swift, request):
    """The file system, with the middleware and without."""
    return filesystem.SwiftFileSystem(
        skip_instance_cache=True, **options(swift, request.param))


@pytest.fixture
def blobs(tester, container):
    """Objects of a container, as a dict of path to bytes."""
    found = {f'{container}/{name}': random.randbytes(size) for name, size in (
        ('a', 10000), ('dir/b c', 70000), ('dir/sub/ü?#%2F', 5),
        ('empty', 0))}
    for path, data in found.items():
        tester.put(f'/{path}', data)
    return found


def test_slices(fs, blobs):
    rng = random.Random(1)
    for path, data in blobs.items():
        size = len(data)
        cuts = [None, 0, 1, size, size + 5, -1, -size - 3, size // 2]
        for start in cuts:
            for end in cuts:
                if rng.random() < 0.5:
                    assert fs.cat_file(path, start, end) == data[start:end], (
                        path, start, end)


def test_many_ranges_are_one_request(swift, blobs):
    found = filesystem.SwiftFileSystem(
        skip_instance_cache=True, **options(swift))
    path = next(iter(blobs))
    requests = logs.Batches(swift)
    starts = list(range(0, 9000, 45))
    ends = [start + 30 for start in starts]
    assert found.cat_ranges([path] * 200, starts, ends) == [
        blobs[path][start:end] for start, end in zip(starts, ends)]
    assert requests.count == 1


def test_many_files_are_one_request(swift, blobs):
    found = filesystem.SwiftFileSystem(
        skip_instance_cache=True, **options(swift))
    requests = logs.Batches(swift)
    assert found.cat(list(blobs)) == blobs
    assert requests.count == 1


def test_looking(fs, blobs, container):
    assert sorted(fs.find(container)) == sorted(blobs)
    assert sorted(fs.ls(container, detail=False)) == [
        f'{container}/a', f'{container}/dir', f'{container}/empty']
    assert fs.ls(f'{container}/a')[0]['size'] == 10000
    assert fs.info(f'{container}/dir')['type'] == 'directory'
    assert container in fs.ls('', detail=False)
    assert fs.isdir(container) and not fs.exists(f'{container}/di')
    assert sorted(fs.glob(f'{container}/dir/*')) == [
        f'{container}/dir/b c', f'{container}/dir/sub']


def test_open(fs, blobs, container):
    with fs.open(f'{container}/dir/b c', block_size=1000) as stream:
        stream.seek(500)
        assert stream.read(3000) == blobs[f'{container}/dir/b c'][500:3500]
        stream.seek(-10, 2)
        assert stream.read() == blobs[f'{container}/dir/b c'][-10:]


def test_open_object_that_changes(fs, tester, container):
    tester.put(f'/{container}/x', b'1' * 5000)
    with fs.open(f'{container}/x', block_size=10,
                 cache_options={}, cache_type='none') as stream:
        assert stream.read(10) == b'1' * 10
        tester.put(f'/{container}/x', b'2' * 5000)
        with pytest.raises(OSError, match='has changed'):
            stream.read(10)


def test_errors(swift, fs, blobs, container):
    for path in (f'{container}/none', 'no-such-container/x'):
        with pytest.raises(FileNotFoundError):
            fs.cat_file(path)
        with pytest.raises(FileNotFoundError):
            fs.info(path)
    with pytest.raises(IsADirectoryError):
        fs.cat_file(container)
    with pytest.raises(ValueError, match='reads only'):
        fs.open(f'{container}/a', 'wb')
    found = fs.cat_ranges(
        [f'{container}/none', f'{container}/a'], [0, 0], [3, 3])
    assert isinstance(found[0], FileNotFoundError)
    assert found[1] == blobs[f'{container}/a'][:3]


def test_reader_without_rights(swift, blobs, container):
    found = filesystem.SwiftFileSystem(
        skip_instance_cache=True, **options(swift, user='reader'))
    with pytest.raises(PermissionError):
        found.cat_file(f'{container}/a')
    with pytest.raises(PermissionError):
        found.ls(container)


def test_wrong_key(swift):
    with pytest.raises(auth.AuthError, match='401 for test:tester'):
        auth.account(**{**options(swift), 'key': 'wrong'})
    for wrong in ({}, {'storage_url': 'http://a', 'auth_url': 'http://b'}):
        with pytest.raises(ValueError):
            auth.account(**wrong)


def test_url(swift, blobs, container):
    with fsspec.open(f'swift-dataset://{container}/a',
                     **options(swift)) as stream:
        assert stream.read() == blobs[f'{container}/a']


def test_asyncio(swift, blobs, container):
    async def read():
        reader = aio.AsyncBatchReader(
            client.BatchReader(*auth.account(**options(swift))), batch=7)
        items = [client.Item('a', [(n, n + 9)]) for n in range(500)]
        found = [result.data[0] async for result in reader.read(
            items, container)]
        reader.close()
        return found

    data = blobs[f'{container}/a']
    assert asyncio.run(read()) == [data[n:n + 10] for n in range(500)]


def test_merged_tasks(swift, blobs, container):
    async def read():
        reader = aio.AsyncBatchReader(
            client.BatchReader(*auth.account(**options(swift))))
        merger = reader.merger()
        tasks = [asyncio.create_task(merger.read(client.Item(
            name, [(0, 4)], container))) for name in ('a', 'none', 'dir/b c')]
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        reader.close()
        return found

    requests = logs.Batches(swift)
    cancelled, missing, good = asyncio.run(read())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert missing.status == 404
    assert good.data == [blobs[f'{container}/dir/b c'][:5]]
    assert requests.count == 1


@pytest.fixture
def samples(tester, container):
    """Shards with samples; returns the index and what is in them."""
    index, content = [], {}
    for shard in range(3):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode='w') as archive:
            for number in range(20):
                fields = {'bin': random.randbytes(number * 100),
                          'cls': str(number).encode()}
                content[f'{shard}/{number:04}'] = fields
                for name, data in fields.items():
                    member = tarfile.TarInfo(f'{shard}/{number:04}.{name}')
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        tester.put(f'/{container}/{shard}.tar', stream.getvalue())
        stream.seek(0)
        index += shards.index_tar(stream, f'{shard}.tar')
    return shards.load_index(shards.dump_index(index)), content


def test_shards(swift, samples, container):
    index, content = samples
    dataset = shards.ShardDataset(
        index, container, lambda key, fields: (key, fields), **options(swift))
    assert len(dataset) == 60
    order = random.Random(3).sample(range(60), 60)
    assert dict(dataset.__getitems__(order)) == content
    requests = logs.Batches(swift)
    keys = [key for key, _ in dataset.__getitems__(order[:16])]
    assert keys == [index[number].key for number in order[:16]]
    assert requests.count == 1
    again = pickle.loads(pickle.dumps(shards.ShardDataset(
        index, container, **options(swift))))
    assert again[7] == content[index[7].key]
