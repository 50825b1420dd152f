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

"""HTTP of the proxy to an object server, as lean as frames allow.

Frames tell where they end, so it is HTTP/1.0 and the answer comes as it is:
no chunks to write there and to take apart here. A connection is for one
request.
"""

import re

from eventlet.green import socket

from ai_factory_plugins.dataset import frames

_MAX_HEAD = 64 * 1024  # bytes of an answer's headers
_STATUS = re.compile(rb'HTTP/1\.[01] (\d{3})[ \r]')
_KIND = re.compile(rb'\r\ncontent-type:[ \t]*([^;\r\n]*)', re.IGNORECASE)
_CHUNKED = re.compile(rb'\r\ntransfer-encoding:', re.IGNORECASE)
_CONTROLS = re.compile(r'[\x00-\x1f\x7f]')


class WireError(Exception):
    """What was received is not the answer of an object server."""


class Wire:
    """A connection to a server, for one request.

    :param server: (ip, port)
    :param block: how many bytes to receive at once
    :raises OSError: there is none
    """

    def __init__(self, server, block=frames.BLOCK):
        self._socket = socket.create_connection(server)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = server
        self._block = block
        #: gives so many bytes of the answer, fewer only at its end
        self.receive = None

    def send(self, method, path, headers, body):
        """Send the request.

        :param headers: dict of text; control characters are left out
        :raises OSError: it cannot be sent
        """
        host, port = self._server
        host = f'[{host}]' if ':' in host else host
        lines = [f'{method} {path} HTTP/1.0', f'Host: {host}:{port}', *(
            f'{name}: {_CONTROLS.sub("", value)}'
            for name, value in headers.items()), '', '']
        head = '\r\n'.join(lines).encode('latin-1', 'replace')
        self._socket.sendall(head + body)

    def begin(self):
        """Wait for the head of the answer.

        :returns: status, type of the content as text
        :raises WireError: it is none
        :raises OSError: the connection has failed
        """
        head = b''
        while (end := head.find(b'\r\n\r\n')) < 0:
            more = self._socket.recv(self._block)
            if not more or len(head) > _MAX_HEAD:
                raise WireError('no head of an answer')
            head += more
        self.receive = frames.Pieces(
            self._socket.recv, self._socket.recv_into, self._block,
            head[end + 4:]).receive
        head = head[:end + 2]
        status, kind = _STATUS.match(head), _KIND.search(head)
        if status is None or _CHUNKED.search(head):
            raise WireError('not an answer to HTTP/1.0')
        kind = kind[1].strip().decode('latin-1') if kind else ''
        return int(status[1]), kind

    def close(self):
        """Give it up; to do so twice does no harm."""
        self._socket.close()
