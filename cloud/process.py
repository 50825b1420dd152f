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


"""Processes with a log and a pid file each."""

import json
import os
import pathlib
import signal
import subprocess
import time

from cloud import errors


def start(layout, name, command, env=None, cwd=None):
    """Start a process in the background.

    :param layout: the cloud's :class:`~cloud.layout.Layout`
    :param name: names its log and its pid file
    :param command: list of arguments
    :param env: variables to add to the environment
    :param cwd: working directory, default the state directory
    :returns: the pid
    """
    layout.directory('run')
    with _open_log(layout, name) as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=cwd or layout.root, env=environment(env),
            start_new_session=True)
    # Whoever looks later must not take another process for this one after
    # the pid has been used again.
    layout.pid(name).write_text(json.dumps({
        'pid': process.pid, 'started': _started(process.pid),
        'boot': _boot()}))
    return process.pid


def environment(extra=None):
    """The environment of a service: no OS_* of the user's shell in it."""
    # Compiled modules are worth keeping: imports are most of a start.
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith('OS_')
            and key != 'PYTHONDONTWRITEBYTECODE'}
    # Some services are modules of this package, which is not installed.
    path = [str(pathlib.Path(__file__).parents[1]),
            *filter(None, [kept.get('PYTHONPATH')])]
    return {**kept, 'PYTHONPATH': os.pathsep.join(path),
            'PYTHONWARNINGS': 'ignore', **(extra or {})}


def run(layout, name, command, env=None):
    """Run a command to its end.

    :raises CloudError: it failed; the message has the end of its log
    """
    with _open_log(layout, name) as log:
        status = subprocess.call(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=layout.root, env=environment(env))
    if status:
        raise errors.CloudError(
            f'{name} failed with status {status}; the end of '
            f'{layout.log(name)}:\n{tail(layout.log(name))}')


def pid(layout, name):
    """The pid of a service that runs, or None."""
    known = _read(layout, name)
    if known is None or _started(known['pid']) != known['started']:
        return None
    return known['pid']


def group(layout, name):
    """The process group of which something is left, or None.

    The processes that a service has started may outlive it when it crashes.
    A number is not used for another process while it still names a group,
    so a process that has the number and started later says that nothing is
    left.
    """
    known = _read(layout, name)
    if known is None or _started(known['pid']) not in (
            None, known['started']):
        return None
    return known['pid'] if _members(known['pid']) else None


def stop(layout, name, seconds=5):
    """Stop a service and all that it started, if anything of it runs.

    :param seconds: how long it may take to stop by itself
    """
    leader = group(layout, name)
    if leader is not None:
        deadline = time.monotonic() + seconds
        _signal(leader, signal.SIGTERM)
        while _members(leader):
            if time.monotonic() > deadline:
                _signal(leader, signal.SIGKILL)
            time.sleep(0.05)
    layout.pid(name).unlink(missing_ok=True)


def known(layout):
    """Names of the services that have a pid file."""
    return sorted(path.stem for path in (layout.root / 'run').glob('*.pid'))


def tail(path, lines=25):
    """The last lines of a log."""
    try:
        text = pathlib.Path(path).read_text(errors='replace')
    except OSError as exc:
        return str(exc)
    return '\n'.join(text.splitlines()[-lines:])


def _open_log(layout, name):
    layout.directory('log')
    return open(layout.log(name), 'ab')


def _signal(leader, number):
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


def _read(layout, name):
    """What the pid file says, or None where it says nothing about now."""
    try:
        known = json.loads(layout.pid(name).read_text())
    except (OSError, ValueError):
        return None
    return known if known.get('boot') == _boot() else None


def _boot():
    return pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()


def _stat(number):
    """Group and start of a process, see proc(5); None if it has ended."""
    try:
        text = pathlib.Path(f'/proc/{number}/stat').read_text()
    except OSError:
        return None
    # The command's name, in parentheses, may hold anything.
    fields = text.rpartition(')')[2].split()
    # What nobody waits for stays as a zombie, and has ended all the same.
    return None if fields[0] == 'Z' else (int(fields[2]), int(fields[19]))


def _started(number):
    """When a process started, in clock ticks since boot; None if it ended."""
    stat = _stat(number)
    return stat and stat[1]


def _members(leader):
    """The processes of a group that have not ended."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        stat = _stat(path.name)
        if stat is not None and stat[0] == leader:
            found.append(int(path.name))
    return found
