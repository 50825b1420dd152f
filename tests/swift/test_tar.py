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

"""Batches as TAR archives."""

import io
import json
import os
import subprocess
import tarfile

from tests.swift import output

MANIFEST = '?multipart-manifest=put'


def test_tar(tester, container, blob):
    tester.put(f'/{container}/a/b.bin', blob)
    tester.put(f'/{container}/empty')
    found, end = output.whole(output.ask(tester, [
        {'object': 'a/b.bin'},
        {'object': 'a/b.bin', 'ranges': [[0, 9]]},
        {'object': 'a/b.bin', 'ranges': [[None, 700], [3, 3]]},
        {'object': 'a/b.bin', 'ranges': [[512, 1023]], 'id': '00.jpg'},
        {'object': 'empty'},
        {'object': 'empty', 'ranges': [[None, 9]]},
    ], container, '&format=tar').body)
    size = len(blob)
    assert [(name, data) for name, _, data in found] == [
        ('a/b.bin', blob), ('a/b.bin@0-9', blob[:10]),
        (f'a/b.bin@{size - 700}-{size - 1}+1', blob[-700:] + blob[3:4]),
        ('00.jpg', blob[512:1024]), ('empty', b''), ('empty@0-', b'')]
    etag = tester.get(f'/{container}/a/b.bin').headers['etag']
    assert found[2][1] == {
        'entry': 2, 'status': 206, 'etag': etag, 'size': size,
        'parts': [[size - 700, 700], [3, 1]]}
    assert found[3][1]['id'] == '00.jpg'
    assert end == {'entries': 6, 'bytes': size + 10 + 701 + 512, 'failed': 0}


def test_tar_tells_when_objects_were_changed(tester, container):
    tester.put(f'/{container}/o', b'x')
    stamp = tester.get(f'/{container}/o').headers['x-timestamp']
    tester.put(f'/{container}/slo', json.dumps(
        [{'path': f'/{container}/o'}]).encode(), MANIFEST)
    of_slo = tester.get(f'/{container}/slo').headers['x-timestamp']
    response = output.ask(
        tester, [{'object': 'o'}, {'object': 'slo'}], container,
        '&format=tar')
    with tarfile.open(fileobj=io.BytesIO(response.body)) as archive:
        assert [member.mtime for member in archive][:2] == [
            int(float(stamp)), int(float(of_slo))]


NAMES = {
    '../../x': '__/__/x', '/etc/passwd': 'etc/passwd', 'a//b/': 'a/b',
    './a': '_/a', '..': '__', 'ü-名前-🎉': 'ü-名前-🎉', 'new\nline': 'new\nline',
    'o' * 101: 'o' * 101, 'd/' * 200 + 'x': 'd/' * 200 + 'x',
    'l' * 1024: 'l' * 1024, '__batch_read_end__': '___batch_read_end__',
    '///': 'entry-11', ' ': ' ', 'back\\slash': 'back\\slash'}


def test_names_in_tar(tester, container):
    for name in NAMES:
        tester.put(f'/{container}/{name}', name.encode())
    found, _ = output.whole(output.ask(
        tester, [{'object': name} for name in NAMES], container,
        '&format=tar').body)
    assert [item[0] for item in found] == list(NAMES.values())
    assert [item[2].decode() for item in found] == list(NAMES)


def test_names_once(tester, container):
    tester.put(f'/{container}/o', b'0123456789')
    found, _ = output.whole(output.ask(tester, [
        {'object': 'o'}, {'object': 'o'}, {'object': 'o', 'id': 'o~3'},
        {'object': 'o'}, {'object': 'o', 'id': '../nul\0'},
        {'object': 'o', 'id': '\ud800'}, {'object': 'o', 'id': ''}],
        container, '&format=tar').body)
    assert [item[0] for item in found] == [
        'o', 'o~1', 'o~3', 'o~3~3', '__/nul_', '?', 'entry-6']
    response = output.ask(
        tester, [{'container': container, 'object': 'o'}], None,
        '&format=tar')
    assert output.whole(response.body)[0][0][0] == f'{container}/o'


def test_gnu_tar(tester, container, blob, tmp_path):
    tester.put(f'/{container}/dir/o', blob)
    response = output.ask(tester, [
        {'object': 'dir/o'}, {'object': 'dir/o', 'id': '/../ümlaut'},
        {'object': 'dir/o', 'id': 'd/' * 100 + 'x', 'ranges': [[1, 600]]},
        {'object': 'none'}], container, '&format=tar')
    done = subprocess.run(
        ['tar', '-xvf', '-', '-C', str(tmp_path)], input=response.body,
        capture_output=True, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    # No warning either.
    assert (done.returncode, done.stderr) == (0, b'')
    assert (tmp_path / 'dir/o').read_bytes() == blob
    assert (tmp_path / '__/ümlaut').read_bytes() == blob
    assert (tmp_path / ('d/' * 100) / 'x').read_bytes() == blob[1:601]
    end = json.loads((tmp_path / '__batch_read_end__').read_bytes())
    assert (end['entries'], end['failed']) == (4, 1)
    error = json.loads((tmp_path / '__batch_read_error_3__').read_bytes())
    assert error == {'entry': 3, 'status': 404, 'reason': 'Not Found'}


REFUSED = [
    ({'object': 'none'}, 404),
    ({'object': 'o', 'ranges': [[9999, None]]}, 416),
    ({'object': 'o', 'etag': 'x'}, 412), ({'object': 'o', 'what': 1}, 400),
    ({'object': 1, 'id': 'wrong'}, 400), ({'object': 'nul\0'}, 412)]


def test_refusals_in_tar(tester, container):
    tester.put(f'/{container}/o', b'0123456789')
    good = ({'object': 'o'}, 200)
    wanted = [good, *REFUSED, good]
    found, end = output.whole(output.ask(
        tester, [item for item, _ in wanted], container,
        '&format=tar').body)
    assert found[0][2] == found[-1][2] == b'0123456789'
    assert end == {'entries': 8, 'bytes': 20, 'failed': len(REFUSED)}
    for number, (item, status) in enumerate(REFUSED, 1):
        name, comment, text = found[number]
        assert (name, comment) == (f'__batch_read_error_{number}__', None)
        told = json.loads(text)
        assert (told['entry'], told['status']) == (number, status)
        assert told['reason'] and told.get('id') == item.get('id')


def test_as_webdataset_reads(tester, container):
    """Samples are grouped by what comes before the first dot of a name."""
    for number in range(3):
        tester.put(f'/{container}/{number}', b'jpg%d+cls%d' % (
            number, number))
    wanted = []
    for number in range(3):
        wanted += [
            {'object': f'{number}', 'ranges': [[0, 3]],
             'id': f'{number:06}.jpg'},
            {'object': f'{number}', 'ranges': [[5, 8]],
             'id': f'{number:06}.cls'}]
    wanted.insert(2, {'object': 'none', 'id': 'none.jpg'})
    samples = {}
    response = output.ask(tester, wanted, container, '&format=tar')
    for name, _, data in output.members(response.body):
        if name.startswith('__') and name.endswith('__'):
            continue
        key, _, kind = name.partition('.')
        samples.setdefault(key, {})[kind] = data
    assert samples == {f'{number:06}': {
        'jpg': b'jpg%d' % number, 'cls': b'cls%d' % number}
        for number in range(3)}
