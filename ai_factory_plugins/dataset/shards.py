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

"""Samples of a data set that lie in large objects, for training loops.

A *shard* is an object with the bytes of many samples, such as a tar archive.
An index says where in it the fields of each sample are. With it, the samples
of one step of the training are one request, whatever their order::

    samples = shards.load_index(text)
    dataset = shards.ShardDataset(samples, 'train', auth_url=..., ...)
    loader = torch.utils.data.DataLoader(dataset, 256, shuffle=True)

PyTorch's loader asks a data set for the samples of a batch together if it has
``__getitems__``, as this one has. PyTorch itself is not needed here.
"""

import json
import os
import tarfile
import typing

from ai_factory_plugins.dataset import auth
from ai_factory_plugins.dataset import client

VERSION = 1


class IndexFileError(ValueError):
    """The index is not one that this module writes."""


class Sample(typing.NamedTuple):
    """Where a sample is.

    :param key: its name
    :param shard: name of the object
    :param fields: dict of name to (offset, length) in bytes
    """

    key: str
    shard: str
    fields: dict


def index_tar(stream, shard):
    """Find the samples in a tar archive.

    Files whose names differ only behind the first dot of the last part, such
    as ``a/7.jpg`` and ``a/7.cls``, are fields of one sample.

    :param stream: binary file that can be read forwards
    :param shard: name of the object that it is
    :returns: list of :class:`Sample`, in the order of the archive
    :raises tarfile.TarError: it is no plain tar archive
    """
    found = {}
    with tarfile.open(fileobj=stream, mode='r|') as archive:
        for member in archive:
            if not member.isreg() or member.issparse():
                continue
            directory, name = os.path.split(member.name)
            key, _, field = name.partition('.')
            key = os.path.join(directory, key)
            found.setdefault(key, Sample(key, shard, {})).fields[field] = (
                member.offset_data, member.size)
    return list(found.values())


def dump_index(samples):
    """An index as text, to be kept beside the shards."""
    return json.dumps({'version': VERSION, 'samples': samples},
                      separators=(',', ':'))


def load_index(text):
    """Read what :func:`dump_index` gave.

    :returns: list of :class:`Sample`
    :raises IndexFileError: it is not of the form
    """
    try:
        content = json.loads(text)
        if content['version'] != VERSION:
            raise IndexFileError(f'version {content["version"]!r:.20}')
        samples = [
            Sample(key, shard, {name: (offset, length) for
                                name, (offset, length) in fields.items()})
            for key, shard, fields in content['samples']]
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise IndexFileError(f'not an index of shards: {exc}') from exc
    for sample in samples:
        if not isinstance(sample.shard, str) or not all(
                type(number) is int and number >= 0
                for place in sample.fields.values() for number in place):
            raise IndexFileError(f'sample {sample.key!r:.80} is nowhere')
    return samples


class ShardDataset:
    """A map-style data set.

    :param samples: list of :class:`Sample`
    :param container: where the shards are
    :param decode: called with the key of a sample and a dict of field to
        bytes; its result is the sample. Without it, the dict is
    :param options: what :func:`ai_factory_plugins.dataset.auth.account` takes
    """

    def __init__(self, samples, container, decode=None, **options):
        self._samples = samples
        self._container = container
        self._decode = decode
        self._options = options
        self._reader = self._process = None

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):
        """The samples of a batch, in one request.

        :raises ServerError: a sample cannot be read
        :raises OSError: the server cannot be reached
        """
        wanted = [self._samples[index] for index in indices]
        # Where nothing is, there is no range to ask for.
        places = [[place for place in sample.fields.values() if place[1]]
                  for sample in wanted]
        results = self._connected().read([
            client.Item(sample.shard, [
                (offset, offset + length - 1) for offset, length in found],
                self._container)
            for sample, found in zip(wanted, places) if found])
        return [self._sample(sample, next(results) if found else None)
                for sample, found in zip(wanted, places)]

    def _sample(self, sample, result):
        data = iter(())
        if result is not None:
            result.check()
            data = iter(result.data)
        fields = {name: next(data) if length else b''
                  for name, (_, length) in sample.fields.items()}
        return fields if self._decode is None else self._decode(
            sample.key, fields)

    def _connected(self):
        # A worker process that was forked must not use its parent's sockets.
        if self._process != os.getpid():
            url, token = auth.account(**self._options)
            self._reader = client.BatchReader(url, token)
            self._process = os.getpid()
        return self._reader

    def __getstate__(self):
        return {**self.__dict__, '_reader': None, '_process': None}
