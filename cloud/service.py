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


"""What a service is to the launcher."""

import dataclasses
import json
import socket
import typing
import urllib.error
import urllib.request

import amqp

from cloud import layout


@dataclasses.dataclass(frozen=True, eq=False)
class Service:
    """One process of the cloud.

    :param name: names it, its log and its pid file
    :param command: list of arguments
    :param env: variables to add to its environment
    :param ports: names of the ports that it listens on
    :param needs: names of the services that have to be ready before it
    :param ready: called without arguments; whether it does its work
    """

    name: str
    command: list
    env: dict = dataclasses.field(default_factory=dict)
    ports: tuple = ()
    needs: tuple = ()
    ready: typing.Callable = lambda: True


def listens(port):
    """Whether anything accepts connections on a port of this machine."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((layout.HOST, port)) == 0


def answers(url):
    """Whether a URL answers with JSON, and not with a server's error."""
    try:
        try:
            response = urllib.request.urlopen(url, timeout=10)
        except urllib.error.HTTPError as exc:
            # 300 is how some tell which versions they have.
            if exc.code >= 500:
                return False
            response = exc
        with response:
            json.load(response)
    except (OSError, ValueError):
        return False
    return True


def consumes(port, queue):
    """Whether anybody waits for the messages of a queue.

    :param port: the broker's port
    :param queue: name of the queue
    """
    try:
        with amqp.Connection(
                f'{layout.HOST}:{port}', connect_timeout=5, read_timeout=5,
                write_timeout=5) as connection:
            return connection.channel().queue_declare(
                queue, passive=True).consumer_count > 0
    except (OSError, amqp.AMQPError):
        return False
