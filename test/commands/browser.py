# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A page in headless Chromium, by its DevTools protocol over pipes: what its console says, and what it looks like."""
from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

__all__ = ['Page', 'browser']

_NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
#: the browser reads from 3 and writes to 4
_START = """import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
for at, fd in enumerate(fds, 3):
    os.dup2(fd, at)
os.execv(sys.argv[3], sys.argv[3:])"""


def browser() -> str | None:
    """Path of a Chromium, or None."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


class Page:
    """One page, from its address to `close`. What it asks of other hosts gets an empty answer and leaves this one not.

    Attributes:
        errors: of its console, and exceptions that nobody caught.
        outside: addresses on other hosts that it asked for.
    """

    def __init__(self, program: str, url: str, profile: Path, size: tuple[int, int] = (1280, 800)) -> None:
        self.errors: list[str] = []
        self.outside: list[str] = []
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self._out, self._in = ours_out, ours_in
        self._process = subprocess.Popen(
            [sys.executable, '-c', _START, str(theirs_in), str(theirs_out), program, '--headless=new', '--no-sandbox',
             '--remote-debugging-pipe', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
             '--ignore-gpu-blocklist', f'--window-size={size[0]},{size[1]}', f'--user-data-dir={profile}',
             '--no-first-run', 'about:blank'], pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._rest, self._answers = 0, b'', dict[int, Any]()
        self._session: str | None = None
        self._loaded = False
        page = next(t for t in self.ask('Target.getTargets')['targetInfos'] if t['type'] == 'page')
        self._session = self.ask('Target.attachToTarget', targetId=page['targetId'], flatten=True)['sessionId']
        for domain in ('Runtime', 'Log', 'Page'):
            self.ask(f'{domain}.enable')
        self.ask('Fetch.enable', patterns=[{'urlPattern': 'https://*'}])
        self.ask('Page.navigate', url=url)
        end = time.monotonic() + 60.
        while not self._loaded and time.monotonic() < end:
            self.wait(.1)

    def ask(self, method: str, timeout_s: float = 60., **params: Any) -> Any:
        """A command of the protocol, and its answer."""
        number = self._send(method, params)
        end = time.monotonic() + timeout_s
        while number not in self._answers:
            left = end - time.monotonic()
            if left < 0:
                raise TimeoutError(f'{method}: no answer of the browser in {timeout_s:g} s')
            self._read(left)
        answer = self._answers.pop(number)
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

    def wait(self, seconds: float) -> None:
        """Take what the page says meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def picture(self) -> np.ndarray:
        """What is to be seen, BGR."""
        data = base64.b64decode(self.ask('Page.captureScreenshot')['data'])
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return image

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._number += 1
        message: dict[str, Any] = {'id': self._number, 'method': method, 'params': params}
        if self._session is not None:
            message['sessionId'] = self._session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        return self._number

    def _read(self, timeout_s: float) -> None:
        if not select.select([self._in], [], [], timeout_s)[0]:
            return
        data = os.read(self._in, 1 << 20)
        if not data:
            raise RuntimeError(f'the browser has ended with {self._process.wait(20)}')
        *messages, self._rest = (self._rest + data).split(b'\0')
        for message in map(json.loads, messages):
            if 'id' in message:
                self._answers[message['id']] = message
            else:
                self._heard(message.get('method'), message.get('params', {}))

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == 'Page.loadEventFired':
            self._loaded = True
        elif method == 'Fetch.requestPaused':
            self.outside.append(params['request']['url'])
            self._send('Fetch.fulfillRequest', {
                'requestId': params['requestId'], 'responseCode': 200, 'body': base64.b64encode(b'[]').decode(),
                'responseHeaders': [{'name': f'Access-Control-Allow-{what}', 'value': '*'}
                                    for what in ('Origin', 'Headers', 'Methods')]})
        elif method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'assert'):
            self.errors.append(' '.join(str(a.get('value', a.get('description'))) for a in params['args']))
        elif method == 'Runtime.exceptionThrown':
            self.errors.append(json.dumps(params['exceptionDetails'])[:1000])
        elif method == 'Log.entryAdded' and params['entry']['level'] == 'error':
            self.errors.append(f"{params['entry']['text']} ({params['entry'].get('url', '')})")
