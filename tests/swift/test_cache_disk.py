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
"""The tier on disk: restarts, damage, and what must not be there."""

import collections
import os
import time

import pytest

from tests.swift import api
from tests.swift import caches as module

OPENED = ' bytes are on disk in '


@pytest.fixture
def owner(caches):
    return api.Api(caches, proxy=module.DISK)


@pytest.fixture
def path(owner):
    return f'/{module.new_container(owner)}/o'


@pytest.fixture
def blob():
    return os.urandom(16 * module.BLOCK)


def files(pattern='*.block'):
    """The files on disk."""
    return sorted((module.STATE / 'blocks').rglob(pattern))


def written(path):
    """How many blocks of an object there are."""
    mark = '","'.join(('AUTH_test', *path.split('/')[1:])).encode()
    count = 0
    for file in files():
        try:
            count += mark + b'"' in file.read_bytes()[:400]
        except OSError:
            pass
    return count


def restart(caches, owner, path):
    def opened():
        log = caches.layout.log(module.DISK)
        return log.read_text(errors='replace').count(OPENED)

    before = opened()
    module.restart(caches, module.DISK)
    # The tier is opened with the first request.
    owner.get(f'{path}-none')
    module.until(lambda: opened() > before)


@pytest.fixture
def stored(caches, owner, path, blob):
    """An object whose 16 blocks are on disk."""
    owner.put(path, blob)
    deadline = time.time() + 20
    # The tier opens in the background, and has no room for a new version
    # until it has put something out.
    while written(path) < 16:
        assert time.time() < deadline
        owner.put(path, blob)
        assert owner.get(path).body == blob
        time.sleep(0.3)
    return path


def test_restart(caches, owner, stored, blob):
    restart(caches, owner, stored)
    before = module.reads(caches, stored[1:], 'GET')
    for _ in range(2):
        assert owner.get(stored).body == blob
    assert module.reads(caches, stored[1:], 'GET') == before


def test_restart_after_a_write(caches, owner, stored, blob):
    caches.stop(module.DISK)
    other = os.urandom(len(blob))
    api.Api(caches, proxy=module.STOCK).put(stored, other)
    restart(caches, owner, stored)
    for _ in range(2):
        assert owner.get(stored).body == other


@pytest.mark.parametrize('damage', (
    'flip', 'truncate', 'empty', 'garbage', 'swap', 'version', 'longer',
    'unreadable', 'gone'))
def test_damage(caches, owner, stored, blob, damage):
    stopped = damage in ('flip', 'truncate', 'swap', 'version')
    if stopped:
        caches.stop(module.DISK)
    found = files()
    for number, file in enumerate(found):
        content = bytearray(file.read_bytes())
        if damage == 'flip':
            content[number * 4099 % len(content)] ^= 1
        elif damage == 'truncate':
            content = content[:number * 4099 % len(content)]
        elif damage == 'empty':
            content = b''
        elif damage == 'garbage':
            content = os.urandom(len(content))
        elif damage == 'swap':
            other = found[number - 1].read_bytes()
            content = other if len(other) == len(content) else b''
        elif damage == 'version':
            content[5] ^= 255
        elif damage == 'longer':
            content += b'x'
        file.unlink()
        if damage == 'unreadable':
            file.mkdir()
        elif damage != 'gone':
            file.write_bytes(content)
    if stopped:
        (file.parent / 'x.block.temporary').write_bytes(b'torn')
        (file.parent / 'foreign').write_bytes(b'foreign')
        restart(caches, owner, stored)
        assert not files('*.temporary')
        assert (file.parent / 'foreign').exists()
    else:
        # What is in RAM is served; make it go.
        filler = os.urandom(2 ** 20)
        for number in range(3):
            owner.put(f'{stored}-{number}', filler)
            for _ in range(3):
                assert owner.get(f'{stored}-{number}').body == filler
    for _ in range(3):
        assert owner.get(stored).body == blob
    for file in (module.STATE / 'blocks').rglob('*.block'):
        if file.is_dir():
            file.rmdir()


def test_bounds(caches, owner, path):
    limit = 2 ** 24
    for number in range(40):
        owner.put(f'{path}-{number}', os.urandom(2 ** 20))
        owner.get(f'{path}-{number}')
    time.sleep(1)
    sizes = collections.Counter()  # by process; others have a part as well
    for file in files():
        sizes[file.parent.parent] += file.stat().st_size
    assert sizes
    assert max(sizes.values()) <= limit
    memory = module.memory(caches, module.DISK)
    assert memory < 200 * 2 ** 20, memory


def test_processes_do_not_share_files(caches, owner, stored):
    other = module.STATE / 'blocks' / 'block-cache-0' / 'lock'
    assert other.exists()
    assert (other.parent.stat().st_mode & 0o777) == 0o700


@pytest.mark.parametrize('proxy', (
    module.LEFT_OF_CRYPTO, module.RIGHT_OF_CRYPTO))
def test_encrypted_objects_are_not_on_disk(caches, path, proxy):
    user = api.Api(caches, proxy=proxy)
    mark = os.urandom(64)
    body = mark * (4 * module.BLOCK // 64)
    user.put(path, body)
    stock = api.Api(caches, proxy=module.STOCK)
    assert mark not in stock.get(path).body
    before = set(files())
    for wanted in (None, (5, 99999)) * 4:
        got = user.get(path, wanted)
        assert got.body == (body if wanted is None else body[5:100000])
        time.sleep(0.2)
    assert module.how(got) == 'hit'
    assert got.headers['etag'] == user.request('HEAD', path).headers['etag']
    assert set(files()) <= before
    for file in files():
        assert mark not in file.read_bytes()
    user.put(path, b'other')
    assert user.get(path).body == b'other'
    # Plain objects may be there, right of encryption as well as without it.
    log = caches.layout.log(proxy).read_text(errors='replace')
    assert ('There is no tier on disk' in log) == (
        proxy == module.LEFT_OF_CRYPTO)
