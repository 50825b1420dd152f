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

"""Libraries that read data sets through one of the clients."""

import os

import numpy
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest
import zarr
import zarr.storage

from tests.swift_clients import clients
from tests.swift_clients import conftest


@pytest.mark.parametrize('shards', [None, (256, 256)])
def test_zarr(owner, bucket, watch, shards):
    """Over s3fs; with shards, it reads ranges of objects."""
    data = numpy.random.default_rng(1).integers(
        0, 1000, (512, 512), dtype='int32')
    store = zarr.storage.FsspecStore.from_url(
        f's3://{bucket}/zarr-{bool(shards)}', storage_options={
            'key': owner.access, 'secret': owner.secret,
            'endpoint_url': owner.url,
            'client_kwargs': {'region_name': conftest.REGION}})
    array = zarr.create_array(
        store, shape=data.shape, chunks=(64, 64), shards=shards,
        dtype=data.dtype, overwrite=True)
    array[:] = data
    found = zarr.open_array(store, mode='r')
    with watch.misses():
        _compare(found, data)
    with watch.hits():
        _compare(found, data)


def _compare(found, data):
    assert (found[:] == data).all()
    assert (found[100:101, 37:300] == data[100:101, 37:300]).all()
    assert (found[511, 511] == data[511, 511])


def test_parquet(owner, bucket, watch):
    """pyarrow reads the columns and row groups that are asked for."""
    fs = clients.Pyarrow(owner).fs
    table = pyarrow.table({
        'n': range(100000), 'x': [str(n * 7) for n in range(100000)]})
    pyarrow.parquet.write_table(
        table, f'{bucket}/table/1.parquet', filesystem=fs,
        row_group_size=10000)
    for expected in (watch.misses, watch.hits):
        with expected():
            found = pyarrow.dataset.dataset(
                f'{bucket}/table', filesystem=fs, format='parquet').to_table(
                    columns=['x'], filter=pyarrow.dataset.field('n') == 54321)
            assert found['x'].to_pylist() == [str(54321 * 7)]
            assert pyarrow.parquet.read_table(
                f'{bucket}/table/1.parquet', filesystem=fs).equals(table)


def test_s3torchconnector(owner, bucket, blob, watch):
    """Where torch is installed; the tests of Mountpoint do without."""
    connector = pytest.importorskip('s3torchconnector')
    os.environ.update(AWS_ACCESS_KEY_ID=owner.access,
                      AWS_SECRET_ACCESS_KEY=owner.secret)
    options = {
        'region': conftest.REGION, 'endpoint': owner.url,
        's3client_config': connector.S3ClientConfig(force_path_style=True)}
    data = connector.S3MapDataset.from_prefix(
        f's3://{bucket}/list', transform=lambda item: item.read(), **options)
    assert sorted(data[n] for n in range(len(data))) == [
        b'%d' % (n,) for n in range(5)]
    ranged = connector.S3IterableDataset.from_objects(
        [f's3://{bucket}/parts'], transform=_pieces,
        reader_constructor=connector.S3ReaderConstructor.range_based(),
        **options)
    expected = [[blob[start:end] for start, end in conftest.RANGES]]
    assert list(ranged) == expected
    with watch.hits():
        assert list(ranged) == expected


def _pieces(item):
    found = []
    for start, end in conftest.RANGES:
        item.seek(start)
        found.append(item.read(end - start))
    return found
