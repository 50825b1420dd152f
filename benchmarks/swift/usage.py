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

"""What processes use, and what is in the page cache; of Linux."""

import collections
import errno
import os
import pathlib

_TICKS = os.sysconf('SC_CLK_TCK')
_READ = 4096


def seconds(leaders):
    """CPU seconds that processes have used so far.

    :param leaders: dict of role to a list of process groups
    :returns: dict of role to seconds of all threads that there are in its
        groups; those of threads that have ended are lost
    """
    found = collections.Counter()
    wanted = {leader for groups in leaders.values() for leader in groups}
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            fields = (path / 'stat').read_text().rpartition(')')[2].split()
            group = int(fields[2])  # see proc(5)
            if group in wanted:
                found[group] += sum(map(_thread, path.glob('task/*')))
        except (OSError, IndexError):
            continue
    return {role: sum(found[leader] for leader in groups)
            for role, groups in leaders.items()}


def _thread(path):
    """CPU seconds of a thread.

    The scheduler's clock has nanoseconds; that of stat has ten milliseconds,
    which is a lot where few items are read.
    """
    try:
        return int((path / 'schedstat').read_text().split()[0]) / 1e9
    except OSError:
        fields = (path / 'stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def machine():
    """CPU seconds that the machine has been busy so far."""
    fields = pathlib.Path('/proc/stat').read_text().split('\n', 1)[0].split()
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def load(paths):
    """Bring files into the page cache, unless they are there."""
    paths = list(paths)
    if cached(paths) == 1:
        return
    for path in paths:
        with open(path, 'rb', buffering=0) as file:
            while file.read(1024 * 1024):
                pass


def evict(paths):
    """Put files out of the page cache, without privileges.

    What the file system knows of them, inodes and attributes, stays.

    :returns: share of them that are there all the same, see :func:`cached`
    """
    paths = list(paths)
    for path in paths:
        with open(path, 'rb') as file:
            # What is not on the disk yet is not put out.
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return cached(paths)


def cached(paths):
    """Share of files whose beginning is in the page cache, by a sample.

    :param paths: list
    :returns: a number from 0 to 1, or None where the system does not tell
    """
    some = paths[::max(len(paths) // 64, 1)]
    try:
        return sum(map(_is_there, some)) / len(some) if some else 0
    except OSError as exc:
        if exc.errno == errno.EOPNOTSUPP:
            return None
        raise


def _is_there(path):
    """Whether the beginning of a file is in the page cache."""
    with open(path, 'rb', buffering=0) as file:
        try:
            return os.preadv(file.fileno(), [bytearray(_READ)], 0,
                             os.RWF_NOWAIT) > 0
        except BlockingIOError:
            return False
